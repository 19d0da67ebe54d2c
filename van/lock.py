"""A site's lock: the one witness that its router runs, and of which process that is.

A router holds the file locked for as long as it lives, and it says there who it is. Whether the
control socket is there, or answers, says nothing about that.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final, Self

import attrs

from van.errors import HostError, RouterRunning
from van.files import storage_error

LOOKS: Final = 10
"""Attempts to take a lock: who only looks whether it is held holds it for a moment too."""
PAUSE: Final = 0.02
"""Seconds between two of them."""
MAX_CONTENT: Final = 64


@attrs.frozen
class Holder:
    """The process that holds a lock, as far as it can be told from here."""

    pid: int | None
    """None when it can't be found: it has just begun, or runs in another container."""
    started: int = 0
    """When it started, in clock ticks since the system did; 0 where that can't be told."""

    def __str__(self) -> str:
        return "a process that can't be seen from here" if self.pid is None else f"pid {self.pid}"

    def signal(self, number: int) -> None:
        """Send it a signal, and no other process that has its id by now; one that has ended gets
        none. Raises `HostError`."""
        if self.pid is None:
            raise HostError(
                "the process that holds the lock can't be found: it may run in another container, "
                "or on another machine that shares these files"
            )
        try:
            if not hasattr(os, "pidfd_open"):
                os.kill(self.pid, number)
                return
            process = os.pidfd_open(self.pid)
            try:
                if start_of(self.pid) == self.started:
                    signal.pidfd_send_signal(process, number)
            finally:
                os.close(process)
        except ProcessLookupError:
            return
        except OSError as exc:
            raise HostError(
                f"process {self.pid} can't be ended: {(exc.strerror or str(exc)).lower()}"
            ) from exc


@attrs.define(eq=False)
class SiteLock:
    """A lock that this process holds until it ends."""

    site: str
    path: Path
    _descriptor: int

    @classmethod
    def take(cls, site: str, path: Path) -> Self:
        """Lock a site; raise `RouterRunning` when another process has, or `StorageError`."""
        return cls(site, path, _take(site, path))

    def keep(self) -> bool:
        """Lock the file that is there now, if somebody has removed ours; tell whether that was so.

        Raises `RouterRunning` when another process has locked it meanwhile, or `StorageError`.
        """
        if is_same_file(self.path, os.fstat(self._descriptor)):
            return False
        lost, self._descriptor = self._descriptor, _take(self.site, self.path)
        os.close(lost)
        return True


def find_holder(path: Path) -> Holder | None:
    """Return the process that holds a site's lock, or None when no router of the site runs."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(os.read(descriptor, MAX_CONTENT))
    finally:
        os.close(descriptor)
    return None


def start_of(pid: int) -> int:
    """Return when a process started, in clock ticks since the system did; 0 if that is unknown."""
    if sys.platform != "linux":
        return 0
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        # The name, in brackets, may hold anything; the start is the 22nd field, the 20th after it.
        return int(stat.rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def is_same_file(path: Path, ours: os.stat_result) -> bool:
    """Tell whether a path still leads to a file that this process has opened."""
    try:
        there = path.lstat()
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _take(site: str, path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise storage_error("open", path, exc) from exc
    try:
        _lock(site, descriptor)
        _write_holder(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(site: str, descriptor: int) -> None:
    for left in reversed(range(LOOKS)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if not left:
                holder = _read_holder(os.pread(descriptor, MAX_CONTENT, 0))
                raise RouterRunning(
                    f"router of site {site!r} is running already ({holder}): see 'van status'"
                ) from exc
        else:
            return
        time.sleep(PAUSE)


def _write_holder(descriptor: int, path: Path) -> None:
    pid = os.getpid()
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{pid} {start_of(pid)}\n".encode(), 0)
    except OSError as exc:
        raise storage_error("write", path, exc) from exc


def _read_holder(content: bytes) -> Holder:
    """Return who a lock's content says that holds it, if that process is there."""
    with contextlib.suppress(ValueError):
        pid, started = map(int, content.split())
        if pid > 0 and start_of(pid) == started:
            return Holder(pid, started)
    return Holder(None)
