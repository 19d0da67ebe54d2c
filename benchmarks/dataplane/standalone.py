"""What is measured of `van` standalone: starting, resting, and what it does under a load."""

import time
from pathlib import Path
from typing import Final, Protocol

from benchmarks.common.programs import Programs
from benchmarks.dataplane.clients import PATIENCE, connect
from benchmarks.dataplane.contenders import SeenStatus, configure_chain, start_chain
from benchmarks.dataplane.loads import ENDS, WARM_UP, Sample
from lab.fleet import Fleet
from lab.ports import free_port
from lab.processes import wait_for
from lab.usage import cpu_seconds, resident_bytes
from van.config import LinkConfig, SiteConfig
from van.control.client import UnixConnection
from van.names import Endpoint
from van.paths import SitePaths

SETTLE: Final = 3.0
"""Seconds after which a router has done what its start made it do."""
REST: Final = 10.0
"""Seconds over which the processor time at rest is taken."""
NEIGHBORS: Final = 10
STALLED: Final = 5.0
"""Seconds for which a server pushes against a client that does not read."""
LOOK: Final = 0.05
"""Seconds between two looks at what changes."""
STREAMS: Final = 8


def idle_router(_seconds: float, *, checkout: Path | None = None) -> Sample:
    """Start a router that has nothing to do, and see what memory it takes."""
    with Fleet(checkout) as fleet:
        fleet.make("single", SiteConfig(Endpoint("127.0.0.1", free_port())))
        fleet.run_all(["single"])
        time.sleep(SETTLE)
        return {"idle router, MB": resident_bytes(fleet.pid("single")) / 1e6}


def start_to_first_byte(_seconds: float, *, checkout: Path | None = None) -> Sample:
    """Start the entry of a configured chain, and see when a client gets its first byte."""
    with Programs() as programs, Fleet(checkout) as fleet:
        (port,) = configure_chain(fleet, ENDS, programs.start_server("source"))
        fleet.run_all(ENDS[1:])
        time.sleep(SETTLE)
        began = time.monotonic()
        fleet.launch(ENDS[0])
        wait_for(lambda: _gets_byte(port), "a client gets a byte", timeout=60.0)
        return {"start to first byte, s": time.monotonic() - began}


def _gets_byte(port: int) -> bool:
    try:
        with connect(port) as sock:
            return bool(sock.recv(1))
    except OSError:
        return False


def stalled_reader(_seconds: float, *, checkout: Path | None = None) -> Sample:
    """Let a server push against a client that does not read, and see what routers hold of it."""
    with Programs() as programs, Fleet(checkout) as fleet:
        (tunnel,) = start_chain(fleet, ENDS, programs.start_server("source"))
        time.sleep(SETTLE)
        idle = tunnel.resident_bytes()
        most = dict(idle)
        with connect(tunnel.port) as sock:
            ends = time.monotonic() + STALLED
            while time.monotonic() < ends:
                time.sleep(LOOK)
                for site, size in tunnel.resident_bytes().items():
                    most[site] = max(most[site], size)
            assert sock.recv(1), "nothing was pushed"
        return {
            f"stalled reader, {site}, MB above idle": (most[site] - idle[site]) / 1e6
            for site in ENDS
        }


def idle_links(_seconds: float, *, checkout: Path | None = None) -> Sample:
    """Link a router to ten others that have nothing to do, and see what processor time it takes."""
    hub, leaves = "hub", [f"leaf-{number}" for number in range(NEIGHBORS)]
    port = Endpoint("127.0.0.1", free_port())
    with Fleet(checkout) as fleet:
        fleet.make(hub, SiteConfig(port))
        for leaf in leaves:
            fleet.make(leaf, SiteConfig(links=(LinkConfig(hub, (port,)),)))
        fleet.run_all([hub, *leaves])
        wait_for(lambda: _links_up(fleet, hub) == NEIGHBORS, "all links are up", timeout=60.0)
        time.sleep(SETTLE)
        before, began = cpu_seconds(fleet.pid(hub)), time.monotonic()
        time.sleep(REST)
        spent = cpu_seconds(fleet.pid(hub)) - before
        return {"10 idle links, % of a core": 100 * spent / (time.monotonic() - began)}


def _links_up(fleet: Fleet, site: str) -> int:
    status = fleet.look_for(site, SeenStatus)
    return sum(link.state == "up" for link in status.links) if status is not None else 0


def status_under_load(seconds: float, *, checkout: Path | None = None) -> Sample:
    """Ask both routers for their state while they carry all that they can; return the longest."""
    with Programs() as programs, Fleet(checkout) as fleet:
        (tunnel,) = start_chain(fleet, ENDS, programs.start_server("source"))
        with programs.reader(tunnel.port, STREAMS):
            time.sleep(WARM_UP)
            ends = time.monotonic() + seconds
            longest = 0.0
            while time.monotonic() < ends:
                longest = max(longest, *(_ask_status(fleet.paths(site)) for site in ENDS))
                time.sleep(LOOK)
    return {"longest status under load, s": longest}


def _ask_status(paths: SitePaths) -> float:
    """Return how long an answer took."""
    began = time.monotonic()
    connection = UnixConnection(paths.control_socket, timeout=PATIENCE)
    try:
        connection.request("GET", "/v1/status")
        assert connection.getresponse().read(), "the answer is empty"
    finally:
        connection.close()
    return time.monotonic() - began


class Standalone(Protocol):
    """What is measured of the routers of one checkout; of this one for None."""

    def __call__(self, seconds: float, /, *, checkout: Path | None = None) -> Sample:
        """Return the figures; a load lasts for so many seconds."""


ALONE: Final[dict[str, Standalone]] = {
    "an idle router": idle_router,
    "a router that starts": start_to_first_byte,
    "a stalled reader": stalled_reader,
    "ten idle links": idle_links,
    "status under load": status_under_load,
}
