"""Three sites on three networks of their own, as an ordinary user without capabilities.

`python -m tests.end_to_end.namespaces` tells the story within a user namespace: there the user may
make networks, and the routers give up even that. West and east each have a wire to the hub, and no
route to one another. It prints what it found as one line of JSON, keeps everything running until
its standard input ends, and clears up.

`python -m tests.end_to_end.namespaces open COMMAND` runs a command in a mount namespace of its own
in which every user can reach this interpreter and this checkout; only root needs it, to become
another user who may not enter root's home.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.processes import Lab, wait_for

ROOT = Path(__file__).parents[2]
PAGE = "Hello from another network.\n"
LINK_PORT = 7671
WEB_PORT = 8080
LOCAL_PORT = 9090
HUB_ADDRESSES = {"west": "10.77.1.1", "east": "10.77.2.1"}
"""The hub's end of each wire."""
ADDRESSES = {"west": "10.77.1.2", "east": "10.77.2.2"}
WITHOUT_CAPABILITIES = (
    *("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"),
    *("--no-new-privs", "--"),
)


class Network:
    """A network namespace, which a process holds for as long as this one lives."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.write(b"\n")
        self._holder.stdin.flush()
        self._holder.stdout.readline()  # it echoes once it is inside
        self.pid = str(self._holder.pid)
        self.run("ip", "link", "set", "lo", "up")

    @property
    def inside(self) -> tuple[str, ...]:
        """Return what runs a command in this network."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net", "--")

    @property
    def bare(self) -> tuple[str, ...]:
        """Return what runs a command in this network without any capability."""
        return (*self.inside, *WITHOUT_CAPABILITIES)

    def run(self, *command: str) -> None:
        """Run a command in this network, with the powers to change it."""
        subprocess.run([*self.inside, *command], check=True)

    def ask(self, *command: str) -> tuple[int, str]:
        """Run a command in this network; return its code and what it printed."""
        done = subprocess.run(
            [*self.bare, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def close(self) -> None:
        """Let the network go."""
        self._holder.communicate()


def lay_wire(name: str, network: Network, hub: Network) -> None:
    """Tie a network to the hub's by a wire, with an address at both ends."""
    subprocess.run(
        [
            *("ip", "link", "add", "wire", "netns", network.pid, "type", "veth"),
            *("peer", "name", name, "netns", hub.pid),
        ],
        check=True,
    )
    ends = [(network, "wire", ADDRESSES[name]), (hub, name, HUB_ADDRESSES[name])]
    for end, device, address in ends:
        end.run("ip", "address", "add", f"{address}/24", "dev", device)
        end.run("ip", "link", "set", device, "up")


@contextlib.contextmanager
def networks() -> Iterator[dict[str, Network]]:
    """Lend three networks, of which only the hub's reaches both others."""
    made = {name: Network() for name in ("hub", "west", "east")}
    try:
        for name in ADDRESSES:
            lay_wire(name, made[name], made["hub"])
        yield made
    finally:
        for network in made.values():
            network.close()


def start_sites(lab: Lab, made: dict[str, Network]) -> None:
    """Make the three sites, each in its network, and let the outer two dial the hub."""
    bare = {name: network.bare for name, network in made.items()}
    advertise = [
        word
        for address in HUB_ADDRESSES.values()
        for word in ("--advertise", f"{address}:{LINK_PORT}")
    ]
    lab.van("init", "hub", "--listen", f"0.0.0.0:{LINK_PORT}", *advertise, inside=bare["hub"])
    for site in ("west", "east"):
        token = str(lab.directory / f"{site}.token")
        lab.van("init", site, inside=bare[site])
        lab.van("--site", "hub", "link", "create", token, inside=bare["hub"])
        lab.van("--site", site, "link", "accept", token, inside=bare[site])


def serve_page(lab: Lab, network: Network) -> None:
    """Serve a page at every address of a network."""
    pages = lab.directory / "pages"
    pages.mkdir()
    (pages / "index.html").write_text(PAGE)
    server = [sys.executable, "-m", "http.server", str(WEB_PORT), "--directory", str(pages)]
    lab.start(*network.bare, *server)
    url = f"http://127.0.0.1:{WEB_PORT}/"
    wait_for(lambda: network.ask("curl", "-sf", url)[0] == 0, "the web server answers")


def tell() -> dict[str, Any]:
    """Set everything up, fetch the page, print the findings, and wait to be told to end."""
    with networks() as made, Lab() as lab:
        west, east = made["west"], made["east"]
        start_sites(lab, made)
        serve_page(lab, east)
        for site, command, option, port in (
            ("east", "expose", "--target", WEB_PORT),
            ("west", "bind", "--listen", LOCAL_PORT),
        ):
            endpoint = f"127.0.0.1:{port}"
            lab.van(
                *("--site", site, command, "tcp", "web:80", option, endpoint),
                inside=made[site].bare,
            )
        lab.wait_reachable("web:80", at="west")
        direct = f"http://{ADDRESSES['east']}:{WEB_PORT}/"
        findings = {
            "routers": lab.pids(),
            "page": west.ask("curl", "-sSf", f"http://127.0.0.1:{LOCAL_PORT}/"),
            "page at the hub's end of the wire": made["hub"].ask("curl", "-sSf", direct),
            "page without van": west.ask("curl", "-sSf", "--max-time", "3", direct),
            "route": west.ask("ip", "route", "get", ADDRESSES["east"]),
        }
        print(json.dumps(findings), flush=True)
        sys.stdin.read()
    return findings


def open_to_all(command: list[str]) -> None:
    """Become a command that every user's programs can follow to this interpreter.

    A closed directory on the way is covered by an empty one, in which what is needed shows again.
    """
    needed = sorted({ROOT, Path(sys.prefix), Path(sys.base_prefix)}, key=lambda path: path.parts)
    hidden = [(path, os.open(path, os.O_PATH)) for path in needed if closed_ancestor(path)]
    for path, descriptor in hidden:
        cover = closed_ancestor(path)
        if cover is not None:
            mount("-t", "tmpfs", "-o", "mode=0755", "van", str(cover))
        path.mkdir(parents=True, exist_ok=True)
        mount("--bind", f"/proc/{os.getpid()}/fd/{descriptor}", str(path))
        os.close(descriptor)
    os.chdir(ROOT)
    os.execvp(command[0], command)


def closed_ancestor(path: Path) -> Path | None:
    """Return the first directory on the way to a path that others may not pass, if any."""
    way = (*reversed(path.parents), path)
    return next((each for each in way if not each.stat().st_mode & 0o001), None)


def mount(*arguments: str) -> None:
    """Mount something; a path of /proc is to be followed by the kernel, not by the program."""
    subprocess.run(["mount", "--no-canonicalize", *arguments], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["open"]:
        open_to_all(sys.argv[2:])
    else:
        tell()
