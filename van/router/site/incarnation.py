"""Counts the router's starts, so that what it says now is newer than what it said before."""

import secrets
import time
from datetime import datetime
from pathlib import Path
from typing import Final

from van import __version__
from van.errors import StorageError
from van.files import read_bytes, write_atomic
from van.routing.engine.copies import Run
from van.tls.forms import CLOCK_SKEW

MAX_FILE: Final = 64


def begin_run() -> Run:
    """Return what tells this run of the router from every other, also of a copy of its files."""
    return Run(1 + secrets.randbits(62), time.time(), __version__)


def latest_incarnation(now: datetime) -> int:
    """Return the highest incarnation that a site can be in, by its wall clock or another's.

    Each start takes one, and so does each second in which the network knows a site by one as high.
    So nobody comes to more than there were seconds, and nobody can be driven to the last one.
    """
    return max(0, int((now + CLOCK_SKEW).timestamp()))


def advance_incarnation(path: Path, *, latest: int) -> int:
    """Return an incarnation that no earlier start had; it is on disk when this returns.

    It is not above the latest that others believe, whatever the file says.
    """
    text = read_bytes(path, limit=MAX_FILE) or b"0"
    try:
        incarnation = min(int(text) + 1, latest)
    except ValueError as exc:
        raise StorageError(f"file {path} is damaged: it should hold a number") from exc
    keep_incarnation(path, incarnation)
    return incarnation


def keep_incarnation(path: Path, incarnation: int) -> None:
    """Make sure that the next start has a higher incarnation than this one."""
    write_atomic(path, f"{incarnation}\n".encode())
