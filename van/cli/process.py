"""The router as a process: start it in the background, and see it end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from van.cli.render.humanize import printable
from van.control.client import ControlClient
from van.control.values.maintenance import StopSpec
from van.control.values.status import Status
from van.errors import HostError, RouterDown, RouterLost, RouterUnseen, VanError
from van.files import storage_error
from van.lock import find_holder
from van.paths import SitePaths, site_paths

POLL: Final = 0.02
"""Seconds between looks at a router that starts or stops."""
START_TIMEOUT: Final = 10.0
"""Longest start in seconds; one takes a few tenths."""
LOOK: Final = 0.5
"""Seconds between looks at what a router that stops waits for, and before the first: what is idle
in transit is given up meanwhile."""
OnWaiting = Callable[[int, int], None]
"""Is told how many flows are waited for: those that begin or end at the site, and in transit."""
STOP_TIMEOUT: Final = 10.0
"""Longest stop in seconds; flows are given a moment to end."""
SHOWN_LOG_LINES: Final = 5


@attrs.frozen
class LogOptions:
    """How a router is to log, where that is not to be as its configuration says."""

    level: str | None = None
    form: str | None = None

    def arguments(self) -> list[str]:
        """Return what the router's command line says of them."""
        given = {"--log-level": self.level, "--log-format": self.form}
        return [part for name, value in given.items() if value for part in (name, value)]


def router_command(site: str, log: LogOptions | None = None) -> list[str]:
    """Return the command that runs a site's router in the foreground.

    With -P, a file in the working directory can't stand in for a module of van.
    """
    options = log.arguments() if log else []
    return [sys.executable, "-P", "-m", "van.router", "--site", site, *options]


def start_router(
    site: str, *, timeout: float = START_TIMEOUT, log: LogOptions | None = None
) -> Status:
    """Start a site's router in the background and return its state once it answers.

    Raises `HostError` with the end of its log when it gives up, or has no answer in time; it is
    then not running.
    """
    paths = site_paths(site)
    with open(_open_log(paths), "ab", buffering=0) as file:
        begin = file.tell()
        process = subprocess.Popen(
            [*router_command(site, log), "--strict-port"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd="/",
            start_new_session=True,
        )
    try:
        return _await_answer(site, process, timeout)
    except HostError as exc:
        process.kill()
        process.wait()
        raise HostError(f"{exc}{_log_since(paths.log_file, begin)}") from exc
    except BaseException:
        process.kill()
        raise


def stop_router(
    site: str,
    *,
    timeout: float = STOP_TIMEOUT,
    force: bool = False,
    grace: float | None = None,
    is_for_good: bool = False,
    on_waiting: OnWaiting | None = None,
) -> bool:
    """Stop a site's router and wait until it is gone; False when it was not running.

    If it goes for good, the network is told that. Its flows have so many seconds of grace to end,
    beside the time that it has to stop; how many there are still is told whenever that changes.
    Raises `HostError` when it has not stopped in time, unless `force` has it killed then.
    """
    try:
        _ask_to_stop(site, timeout, StopSpec(grace=grace, is_for_good=is_for_good))
        await_end(site, timeout + (grace or 0.0), on_waiting)
    except RouterDown:
        return False
    except HostError:
        if not force:
            raise
        _signal(site, signal.SIGKILL)
        await_end(site, timeout)
    return True


def _ask_to_stop(site: str, timeout: float, spec: StopSpec) -> None:
    """Have a router stop in an orderly manner, also one that has no control socket, or that ends
    just now by itself."""
    try:
        ControlClient(site, timeout=timeout).stop(spec)
    except RouterUnseen:
        _signal(site, signal.SIGTERM)
    except RouterLost:
        return


def await_end(site: str, timeout: float, on_waiting: OnWaiting | None = None) -> None:
    """Wait until a site's router is gone, and raise `HostError` if it is not in time."""
    began = time.monotonic()
    deadline, looks_at, told = began + timeout, began + LOOK, (0, 0)
    while holds_lock(site):
        if on_waiting is not None and time.monotonic() > looks_at:
            looks_at = time.monotonic() + LOOK
            left = _flows_left(site)
            if left not in (told, (0, 0)):
                told = left
                on_waiting(*left)
        if time.monotonic() > deadline:
            raise HostError(
                f"router of site {site!r} did not stop within {timeout:g} seconds: "
                "van down --force kills it"
            )
        time.sleep(POLL)


def _flows_left(site: str) -> tuple[int, int]:
    """Return how many flows a router that stops waits for: its own, and those in transit."""
    try:
        status = ControlClient(site, timeout=LOOK).status()
    except VanError:
        return 0, 0  # it has just gone, or is too busy to be asked
    return status.flows_total, status.counters.relays


def _signal(site: str, number: int) -> None:
    """Send a signal to the process that holds a site's lock."""
    if (holder := find_holder(site_paths(site).lock_file)) is not None:
        holder.signal(number)


def holds_lock(site: str) -> bool:
    """Tell whether a router of the site is running, be it one that does not answer."""
    return find_holder(site_paths(site).lock_file) is not None


def _await_answer(site: str, process: subprocess.Popen[bytes], timeout: float) -> Status:
    client = ControlClient(site, timeout=timeout)
    deadline = time.monotonic() + timeout
    while process.poll() is None:
        try:
            return client.status()
        except (RouterDown, RouterUnseen, RouterLost) as exc:
            if time.monotonic() > deadline:
                raise HostError(
                    f"router of site {site!r} did not answer within {timeout:g} seconds"
                ) from exc
        time.sleep(POLL)
    raise HostError(f"router of site {site!r} did not start")


def _open_log(paths: SitePaths) -> int:
    path = paths.log_file
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as exc:
        raise storage_error("write", path, exc) from exc


def _log_since(path: Path, begin: int) -> str:
    """Return why a router ended, from what it logged after a place in the file.

    That is the error it left with, or else its last lines.
    """
    try:
        with path.open("rb") as log:
            # It was put aside meanwhile if it is shorter now.
            log.seek(begin if log.seek(0, os.SEEK_END) >= begin else 0)
            lines = log.read().decode(errors="replace").splitlines()
    except OSError as exc:
        return f" (and its log {path} can't be read: {exc})"
    if lines and lines[-1].startswith("van: "):
        return f": {printable(lines[-1].removeprefix('van: '))}"
    shown = "".join(f"\n  {printable(line)}" for line in lines[-SHOWN_LOG_LINES:])
    return f": the end of {path} says{shown}" if shown else f": it left nothing in {path}"
