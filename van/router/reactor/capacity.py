"""How much of what clients can make grow this machine has room for."""

import os
import resource
from pathlib import Path
from typing import Final

PART: Final = 16
"""Of the memory, one part in so many may go into UDP sessions: a router is one program of many."""
SESSION_SIZE: Final = 16384
"""Bytes of memory that a UDP session takes, with what is kept of it until it is answered; at its
egress as much, and the kernel's socket."""
MIN_SESSIONS: Final = 2048
"""However little memory there is: what a household's programs have open."""
MAX_SESSIONS: Final = 65536
"""However much there is: one client address has no more ports."""


def max_sessions() -> int:
    """Return how many UDP sessions there is room for: by memory, and by descriptors, of which each
    has one where its target is."""
    fitting = min(memory() // PART // SESSION_SIZE, descriptors() // 2)
    return max(MIN_SESSIONS, min(fitting, MAX_SESSIONS))


def memory() -> int:
    """Return the bytes of memory that this process may use: those of the machine, or of the control
    group that it is in."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_group_limits()]
    return min(each for each in found if each > 0)


def descriptors() -> int:
    """Return how many descriptors this process may have, once it asks for as many as it can get."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return MAX_SESSIONS * 2 if hard == resource.RLIM_INFINITY else hard


def _group_limits(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> list[int]:
    """Return the limits of the control groups, version 2, that this process is in."""
    try:
        (line,) = [each for each in own.read_text().splitlines() if each.startswith("0::")]
    except (OSError, ValueError):
        return []  # another system, or none
    inner = root / line.removeprefix("0::").lstrip("/")
    found = []
    for group in (inner, *inner.parents):
        if not group.is_relative_to(root):
            break
        try:
            found.append(int((group / "memory.max").read_text()))
        except (OSError, ValueError):
            continue  # the outermost has none, and others may say "max"
    return found
