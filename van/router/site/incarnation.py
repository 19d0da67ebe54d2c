"""Counts the router's starts, so that what it says now is newer than what it said before."""

import secrets
import time
from pathlib import Path
from typing import Final

import attrs

from van.errors import StorageError
from van.files import read_bytes, write_atomic

MAX_FILE: Final = 64


@attrs.frozen
class Run:
    """One run of a router, from its start to its end; a copy of the site's files has others."""

    id: int = attrs.field(factory=lambda: secrets.randbits(63))
    started_at: float = attrs.field(factory=time.time)
    """In seconds since 1970, as other machines compare it."""


def advance_incarnation(path: Path) -> int:
    """Return an incarnation that no earlier start had; it is on disk when this returns."""
    text = read_bytes(path, limit=MAX_FILE) or b"0"
    try:
        incarnation = int(text) + 1
    except ValueError as exc:
        raise StorageError(f"file {path} is damaged: it should hold a number") from exc
    keep_incarnation(path, incarnation)
    return incarnation


def keep_incarnation(path: Path, incarnation: int) -> None:
    """Make sure that the next start has a higher incarnation than this one."""
    write_atomic(path, f"{incarnation}\n".encode())
