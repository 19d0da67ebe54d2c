"""Counts what a process holds: objects by kind, and what is in the containers of a router.

A container is told of by the class and the attribute that holds it, all instances together: what is
kept by name and never forgotten shows there as a number that grows.
"""

import functools
import gc
import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from lab.usage import resident_bytes
from van.router.router import Router

_CONTAINERS: Final = (dict, list, set, frozenset, tuple, deque)


class Census(msgspec.Struct):
    """What a router held at one time, when all that could be freed had been."""

    resident: int
    """Bytes of memory in use, before anything was collected."""
    cyclic: int
    """Objects that only the collector frees, which had gathered since the last census."""
    descriptors: int
    threads: int
    objects: dict[str, int]
    """Those that the collector tracks, by kind."""
    containers: dict[str, int]
    """How much is in each."""


def take() -> Census:
    """Count what this process holds; a router is in it."""
    resident = resident_bytes(os.getpid())
    cyclic = gc.collect()
    objects = gc.get_objects()
    kinds = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in objects)
    routers = [each for each in objects if isinstance(each, Router)]
    del objects
    return Census(
        resident=resident,
        cyclic=cyclic,
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        threads=threading.active_count(),
        objects=dict(kinds),
        containers=dict(containers(routers) + _caches()),
    )


def containers(roots: Iterable[object]) -> Counter[str]:
    """Return the sizes of all containers that can be reached from some objects of ours."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    waiting: deque[tuple[str, Any]] = deque(("", root) for root in roots)
    while waiting:
        place, each = waiting.popleft()
        if id(each) in seen or isinstance(each, str | bytes | int | float | type | None):
            continue
        seen.add(id(each))
        if isinstance(each, _CONTAINERS):
            found[place] += len(each)
            inner = each.values() if isinstance(each, dict) else each
            waiting.extend((f"{place}[]", one) for one in list(inner))
        elif isinstance(each, functools.partial):
            waiting.extend((place, one) for one in (each.func, *each.args))
        elif hasattr(each, "__self__"):
            waiting.append((place, each.__self__))
        elif type(each).__module__.startswith("van."):
            waiting.extend(_attributes(each))
    return found


def _attributes(each: object) -> Iterator[tuple[str, Any]]:
    names = list(getattr(each, "__dict__", ()))
    for kind in type(each).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names.extend([slots] if isinstance(slots, str) else slots)
    for name in names:
        if hasattr(each, name):
            yield f"{type(each).__qualname__}.{name}", getattr(each, name)


def _caches() -> Counter[str]:
    """Return how much is in the caches of our functions."""
    found: Counter[str] = Counter()
    for name, module in list(sys.modules.items()):
        if name.startswith("van."):
            for each in vars(module).values():
                if hasattr(each, "cache_info"):
                    found[f"{each.__module__}.{each.__qualname__}()"] = each.cache_info().currsize
    return found
