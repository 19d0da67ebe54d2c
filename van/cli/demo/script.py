"""The demo's means: runs real commands, shows them with their outcome, and clears them away."""

import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Final

import typer

from van.cli.demo.signals import held_signals
from van.cli.demo.webserver import WebServer
from van.cli.render.tables import MUTED
from van.errors import HostError, VanError
from van.files import make_private_directory, storage_error
from van.paths import list_sites, site_paths

if TYPE_CHECKING:
    from pathlib import Path

SITES: Final = ("demo-west", "demo-hub", "demo-east")
COMMAND_TIMEOUT: Final = 60.0
"""Longest time in seconds for one command; most take a few tenths."""
FETCH_TIMEOUT: Final = 10.0
"""Longest time in seconds until the address can be reached."""
FETCHES: Final = 100
"""Requests that are timed: enough for a median, done in a moment."""


class DemoScript:
    """The demo's sites, its web server, and what the audience sees of them."""

    sites = SITES

    def __init__(self) -> None:
        self.url = ""
        """Where the page can be fetched, once it was."""
        self.directory: Path = site_paths(SITES[0]).state_dir.parent / ".demo"
        self._server = WebServer(self.directory)
        self._began = time.monotonic()
        self._steps = 0

    def elapsed(self) -> float:
        """Return the seconds since the demo began."""
        return time.monotonic() - self._began

    def find_sites(self) -> list[str]:
        """Return the demo's sites that exist."""
        return [site for site in list_sites() if site in SITES]

    def prepare(self) -> None:
        """Make the directory of tokens and pages; from here on, any end must call `clear`."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _exit)
        self._server.stop()
        make_private_directory(self.directory)

    def title(self, text: str) -> None:
        """Begin a step."""
        self._steps += 1
        typer.secho(f"\n{self._steps}. {text}", bold=True)

    def van(self, *arguments: str) -> None:
        """Run a `van` command in a process of its own, and show it; raise `HostError` if it
        fails."""
        typer.echo(f"   $ van {' '.join(arguments)}", nl=False)
        began = time.monotonic()
        code, output = _run([sys.executable, "-P", "-m", "van", *arguments])
        typer.secho(f"   {time.monotonic() - began:.2f} s", fg=MUTED)
        for line in output.splitlines():
            typer.echo(f"     {line}".rstrip())
        if code:
            raise HostError(f"'van {' '.join(arguments)}' failed with exit code {code}")

    def start_web_server(self) -> str:
        """Start a real web server on a free port and return its endpoint."""
        typer.echo("   $ python3 -m http.server --bind 127.0.0.1", nl=False)
        began = time.monotonic()
        endpoint = self._server.start()
        typer.secho(f"   {time.monotonic() - began:.2f} s", fg=MUTED)
        typer.echo(f"     serving a page at {endpoint}")
        return endpoint

    def fetch(self, url: str) -> None:
        """Fetch a page as soon as it can be reached, show it, and time some more fetches."""
        typer.echo(f"   $ curl {url}", nl=False)
        began = time.monotonic()
        page = _fetch_soon(url)
        typer.secho(f"   {time.monotonic() - began:.2f} s", fg=MUTED)
        for line in page.splitlines():
            typer.echo(f"     {line}")
        times = [_time_fetch(url) for _ in range(FETCHES)]
        typer.secho(
            f"     and {FETCHES} times more: {1000 * statistics.median(times):.1f} ms each "
            "in the median",
            fg=MUTED,
        )
        self.url = url

    def show_logs(self) -> None:
        """Show how each router's log ends, for whoever has to find out what went wrong."""
        for site in self.find_sites():
            log = site_paths(site).log_file
            if log.exists():
                typer.echo(f"\nthe end of {log}:", err=True)
                for line in log.read_text(errors="replace").splitlines()[-10:]:
                    typer.echo(f"  {line}", err=True)

    def clear(self) -> bool:
        """Take down all that the demo made, by it or an earlier one; tell whether there was any.

        A second Ctrl-C waits until it is done: every step of it ends by itself.
        """
        with held_signals():
            there = [site for site in SITES if site_paths(site).state_dir.exists()]
            failures = []
            for site in there:
                try:
                    self.van("site", "delete", site, "--force", "--yes")
                except VanError as exc:
                    failures.append(str(exc))
            was_serving = self._server.stop()
            try:
                shutil.rmtree(self.directory)
            except FileNotFoundError:
                pass
            except OSError as exc:
                raise storage_error("remove", self.directory, exc) from exc
        if failures:
            raise HostError("; ".join(failures))
        return bool(there) or was_serving

    @staticmethod
    def free_port() -> int:
        """Return a port of loopback that nothing uses now."""
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port: int = sock.getsockname()[1]
            return port


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Run a command to its end, which Ctrl-C does not cut short, and return its code and output."""
    process: subprocess.Popen[str] | None = None
    try:
        with held_signals():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        output, _ = process.communicate(timeout=COMMAND_TIMEOUT)
    except subprocess.TimeoutExpired:
        assert process is not None
        process.kill()
        output, _ = process.communicate()
    except BaseException:
        if process is not None:
            with held_signals():
                process.communicate(timeout=COMMAND_TIMEOUT)
        raise
    return process.returncode, output


def _fetch_soon(url: str) -> str:
    deadline = time.monotonic() + FETCH_TIMEOUT
    while True:
        try:
            return _fetch(url)
        except OSError as exc:
            if time.monotonic() > deadline:
                raise HostError(
                    f"{url} could not be fetched within {FETCH_TIMEOUT:g} seconds: {exc}"
                ) from exc
        time.sleep(0.02)


def _fetch(url: str) -> str:
    # No proxy of the environment: the page is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=FETCH_TIMEOUT) as response:
        page: bytes = response.read()
    return page.decode()


def _time_fetch(url: str) -> float:
    began = time.perf_counter()
    try:
        _fetch(url)
    except OSError as exc:
        raise HostError(f"{url} could be fetched once, but not again: {exc}") from exc
    return time.perf_counter() - began


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
