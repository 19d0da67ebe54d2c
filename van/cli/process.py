"""The router as a process: start it in the background, and see it end."""

import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from van.cli.render.humanize import printable
from van.control.client import ControlClient
from van.control.values.status import Status
from van.errors import HostError, RouterDown
from van.files import storage_error
from van.paths import SitePaths, site_paths

POLL: Final = 0.02
"""Seconds between looks at a router that starts or stops."""
START_TIMEOUT: Final = 10.0
"""Longest start in seconds; one takes a few tenths."""
STOP_TIMEOUT: Final = 10.0
"""Longest stop in seconds; flows are given a moment to end."""
MAX_LOG: Final = 8 * 1024 * 1024
"""A log larger than this in bytes is put aside at the next start, in place of the one before."""
SHOWN_LOG_LINES: Final = 5
_CREDENTIALS: Final = struct.Struct("3i")
"""`struct ucred` of Linux: process, user, group."""


def router_command(site: str) -> list[str]:
    """Return the command that runs a site's router in the foreground.

    With -P, a file in the working directory can't stand in for a module of van.
    """
    return [sys.executable, "-P", "-m", "van.router", "--site", site]


def start_router(site: str, *, timeout: float = START_TIMEOUT) -> Status:
    """Start a site's router in the background and return its state once it answers.

    Raises `HostError` with the end of its log when it gives up, or has no answer in time; it is
    then not running.
    """
    paths = site_paths(site)
    with open(_open_log(paths), "ab", buffering=0) as log:
        begin = log.tell()
        process = subprocess.Popen(
            router_command(site),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    try:
        return _await_answer(site, process, timeout)
    except HostError as exc:
        raise HostError(f"{exc}{_log_since(paths.log_file, begin)}") from exc
    except BaseException:
        process.kill()
        raise


def stop_router(site: str, *, timeout: float = STOP_TIMEOUT, force: bool = False) -> bool:
    """Stop a site's router and wait until it is gone; False when it was not running.

    Raises `HostError` when it has not stopped in time, unless `force` has it killed then.
    """
    try:
        ControlClient(site, timeout=timeout).stop()
        _await_end(site, timeout)
    except RouterDown:
        if not holds_lock(site):
            return False
        # It is about to end, or has not begun to answer.
        _await_end(site, timeout)
    except HostError:
        if not force:
            raise
        _kill_router(site)
        _await_end(site, timeout)
    return True


def _await_end(site: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while holds_lock(site):
        if time.monotonic() > deadline:
            raise HostError(
                f"router of site {site!r} did not stop within {timeout:g} seconds: --force kills it"
            )
        time.sleep(POLL)


def _kill_router(site: str) -> None:
    """Kill the process that listens at a site's control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        try:
            control.connect(str(site_paths(site).control_socket))
            os.kill(_peer_pid(control), signal.SIGKILL)
        except (FileNotFoundError, ConnectionRefusedError, ProcessLookupError):
            return  # it ended by itself
        except OSError as exc:
            raise HostError(f"router of site {site!r} can't be killed: {exc}") from exc


def _peer_pid(control: socket.socket) -> int:
    """Return the id of the process at the other end of a unix socket."""
    pid: int
    if sys.platform == "darwin":
        pid = control.getsockopt(0, 2)  # SOL_LOCAL, LOCAL_PEERPID
    else:
        peer = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, _, _ = _CREDENTIALS.unpack(peer)
    return pid


def holds_lock(site: str) -> bool:
    """Tell whether a router of the site is running, be it one that does not answer."""
    try:
        descriptor = os.open(site_paths(site).lock_file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _await_answer(site: str, process: subprocess.Popen[bytes], timeout: float) -> Status:
    client = ControlClient(site)
    deadline = time.monotonic() + timeout
    while process.poll() is None:
        try:
            return client.status()
        except RouterDown:
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise HostError(
                    f"router of site {site!r} did not answer within {timeout:g} seconds"
                ) from None
        time.sleep(POLL)
    raise HostError(f"router of site {site!r} did not start")


def _open_log(paths: SitePaths) -> int:
    path = paths.log_file
    try:
        if path.exists() and path.stat().st_size > MAX_LOG:
            path.replace(path.with_suffix(".log.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as exc:
        raise storage_error("write", path, exc) from exc


def _log_since(path: Path, begin: int) -> str:
    """Return why a router ended, from what it logged after a place in the file.

    That is the error it left with, or else its last lines.
    """
    try:
        with path.open("rb") as log:
            log.seek(begin)
            lines = log.read().decode(errors="replace").splitlines()
    except OSError as exc:
        return f" (and its log {path} can't be read: {exc})"
    if lines and lines[-1].startswith("van: "):
        return f": {printable(lines[-1].removeprefix('van: '))}"
    shown = "".join(f"\n  {printable(line)}" for line in lines[-SHOWN_LOG_LINES:])
    return f": the end of {path} says{shown}" if shown else f": it left nothing in {path}"
