"""Sites as real router processes, driven by the commands that a person would use.

Every lab has configuration and state directories of its own, and ends the processes it started.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from lab.commands import run_here
from lab.ports import free_port
from lab.servers import naming_server
from van.control.client import UnixConnection

COMMAND_TIMEOUT = 60.0
WAIT_TIMEOUT = 20.0


def wait_for(condition: Callable[[], object], what: str, timeout: float = WAIT_TIMEOUT) -> None:
    """Wait until a condition holds, or fail saying what did not come about."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"in {timeout:.0f} s it did not come about that {what}")
        time.sleep(0.02)


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether something accepts connections at a port."""
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except ConnectionResetError:
        return True  # it was accepted, and ended before this end took note
    except OSError:
        return False
    return True


def is_running(pid: int) -> bool:
    """Tell whether a process is there; one that has ended and waits for its parent to take note is
    not, though its other threads may hold its sockets and locks for another moment."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


class Lab:
    """A machine of its own: directories, commands, routers, and other programs."""

    def __init__(self) -> None:
        # A unix socket's path is short, and pytest's directories are long.
        self.directory = Path(tempfile.mkdtemp(prefix="van-"))
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("VAN_")},
            "XDG_CONFIG_HOME": str(self.directory / "config"),
            "XDG_STATE_HOME": str(self.directory / "state"),
            # A narrow screen folds away what others' rows leave no room for.
            "COLUMNS": "200",
        }
        self._programs: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pids = self.pids().values()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(map(is_running, pids)), "the routers of the lab are gone")
        for program in self._programs:
            if program.poll() is None:
                program.kill()
            program.wait()
            for stream in (program.stdout, program.stderr, program.stdin):
                if stream is not None:
                    stream.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(
        self, *arguments: str, check: bool = True, stdin: str | bytes = b""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of van in this process and return how it ended; fail with what it printed
        when it fails."""
        done = run_here(*arguments, environment=self.environment, stdin=stdin)
        return _checked(done, arguments) if check else done

    def van(
        self, *arguments: str, check: bool = True, inside: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Do the same in a process of its own, as a person does.

        `inside` is a command that runs another one elsewhere, such as `nsenter`.
        """
        done = subprocess.run(
            [*inside, sys.executable, "-m", "van", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
        return _checked(done, arguments) if check else done

    def status(self, site: str) -> dict[str, Any]:
        """Return a site's status as the control API has it, without the cost of a command."""
        path = self.directory / "state" / "van" / site / "control.sock"
        connection = UnixConnection(path, timeout=COMMAND_TIMEOUT)
        try:
            connection.request("GET", "/v1/status")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return found

    def find(self, kind: str, address: str, *, at: str) -> dict[str, Any]:
        """Return a site's one connector, listener, or address of that name, by its kind's plural;
        fail when there are none or more."""
        (found,) = [each for each in self.status(at)[kind] if each["address"] == address]
        return dict(found)

    def init(self, site: str, *options: str) -> None:
        """Make a site and start its router."""
        self.run("init", site, *options)

    def link(self, site: str, to: str, *options: str) -> None:
        """Link a site to another one by a token that the other mints."""
        token = self.directory / f"{site}-{to}.toml"
        self.run("--site", to, "link", "create", str(token), "--force", *options)
        self.run("--site", site, "link", "accept", str(token))

    def up(self, site: str) -> None:
        """Start a site's router again."""
        self.run("--site", site, "up")

    def expose(self, site: str, address: str, port: int, protocol: str = "tcp") -> None:
        """Attach a port of loopback to an address."""
        target = f"127.0.0.1:{port}"
        self.run("--site", site, "expose", protocol, address, "--target", target, "--join")

    def bind(self, site: str, address: str, protocol: str = "tcp") -> int:
        """Make a listener for an address at a free port; return it, open or still waiting."""
        port = free_port()
        self.run("--site", site, "bind", protocol, address, "--listen", f"127.0.0.1:{port}")
        return port

    def reach(self, site: str, address: str, protocol: str = "tcp") -> int:
        """Make a listener for an address, wait until it is open, and return its port."""
        port = self.bind(site, address, protocol)
        self.wait_reachable(address, at=site)
        return port

    @contextlib.contextmanager
    def service(self, address: str, *, at: str = "east", client: str = "west") -> Iterator[int]:
        """Lend a server at one site, which answers with that site's name, to clients of another.

        Yields the port at the clients' site.
        """
        with naming_server(at) as target:
            self.expose(at, address, target)
            port = self.reach(client, address)
            try:
                yield port
            finally:
                # Whatever a test did, the next one finds no trace; a site may be down by now.
                self.run("--site", client, "unbind", "tcp", address, check=False)
                self.run("--site", at, "unexpose", "tcp", address, check=False)

    def pids(self) -> dict[str, int]:
        """Return the routers of this lab that are running, by site."""
        state = str(self.directory / "state").encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    arguments = (entry / "cmdline").read_bytes().split(b"\0")
                    if b"van.router" in arguments and state in (entry / "environ").read_bytes():
                        found[arguments[arguments.index(b"--site") + 1].decode()] = int(entry.name)
        return found

    def kill(self, site: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a site's router; after SIGKILL wait until it is gone."""
        pid = self.pids()[site]
        os.kill(pid, number)
        if number == signal.SIGKILL:
            wait_for(lambda: not is_running(pid), f"the router of {site} is gone")

    def start(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program that ends with the lab."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        program = subprocess.Popen(command, env=self.environment, **options)
        self._programs.append(program)
        return program

    def three_sites(self) -> None:
        """Make west, hub, and east, of which only the hub listens; each knows the others."""
        self.init("hub", "--listen", f"127.0.0.1:{free_port()}")
        for site in ("west", "east"):
            self.init(site)
            self.link(site, "hub")
        for site in ("west", "hub", "east"):
            wait_for(partial(self._knows_ways_to, site, 2), f"{site} knows the others")

    def _knows_ways_to(self, site: str, count: int) -> bool:
        return sum(bool(each["next_hop"]) for each in self.status(site)["sites"]) >= count

    def wait_reachable(self, address: str, *, at: str) -> None:
        """Wait until a site's listener for an address is open."""
        wait_for(
            lambda: any(
                each["address"] == address and each["state"] == "open"
                for each in self.status(at)["listeners"]
            ),
            f"{address} can be reached at {at}",
        )


def _checked(
    done: subprocess.CompletedProcess[str], arguments: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    if done.returncode != 0:
        raise AssertionError(f"van {' '.join(arguments)}: {done.stderr}{done.stdout}")
    return done


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """Lend a lab, and clear it away."""
    with Lab() as made:
        yield made
