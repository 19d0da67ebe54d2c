"""Counts the router's starts, so that what it says now is newer than what it said before."""

import secrets
import time
from pathlib import Path
from typing import Final

from van.errors import StorageError
from van.files import read_bytes, write_atomic
from van.routing.engine.copies import Run

MAX_FILE: Final = 64


def begin_run() -> Run:
    """Return what tells this run of the router from every other, also of a copy of its files."""
    return Run(1 + secrets.randbits(62), time.time())


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
