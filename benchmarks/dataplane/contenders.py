"""Who is measured: no tunnel at all, `van`, and four proxies in its place.

A tunnel of one hop is an entry and an exit with TLS between them; one of two hops has a middle as
well. A proxy in the middle ends TLS and begins it anew; a router there passes ciphertext on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import msgspec

from benchmarks.common.programs import LOOPBACK, Programs, find
from benchmarks.dataplane import proxies
from benchmarks.dataplane.certificates import LittleAuthority
from benchmarks.dataplane.envoy import envoy
from benchmarks.dataplane.hops import Hop, Setup
from lab.fleet import Fleet
from lab.ports import free_port
from lab.processes import wait_for
from lab.usage import family, family_cpu_seconds, resident_bytes, voluntary_switches
from van.config import ConnectorConfig, LinkConfig, ListenerConfig, SiteConfig
from van.names import Address, Endpoint

DIRECT: Final = "direct"
VAN: Final = "van"
BEFORE: Final = "before"
"""The routers of another checkout, as a rule of one before a change."""
SPARES: Final = 2
"""Idle channels that a router keeps ready to a neighbour."""
SITES: Final = {1: ("entry", "exit"), 2: ("entry", "middle", "exit")}
"""The names of a tunnel's processes, by its number of hops."""


@attrs.frozen
class Tunnel:
    """A way to a server: the port to connect to, and the process of each site."""

    port: int
    pids: dict[str, int] = attrs.field(factory=dict)
    host: str = LOOPBACK

    def cpu_seconds(self, *sites: str) -> float:
        """Return the processor time of some sites' processes so far; of all by default."""
        return sum(family_cpu_seconds(self.pids[site]) for site in sites or self.pids)

    def sleeps(self) -> int:
        """Return how often threads of all sites went to sleep so far, to wait for something."""
        return sum(voluntary_switches(each) for pid in self.pids.values() for each in family(pid))

    def resident_bytes(self) -> dict[str, int]:
        """Return the memory of each site, a master's and its workers' together."""
        return {site: sum(map(resident_bytes, family(pid))) for site, pid in self.pids.items()}


@attrs.frozen
class Contender:
    """How to get a tunnel to a port, over so many hops, and what that takes."""

    open: Callable[[int, int], AbstractContextManager[Tunnel]]
    programs: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def missing(self) -> list[str]:
        """Return what is not installed."""
        programs = [program for program in self.programs if find(program) is None]
        return programs + [str(file) for file in self.files if not file.exists()]


@contextmanager
def direct(target: int, _hops: int) -> Iterator[Tunnel]:
    """Lend the server's own port: what the others are compared with."""
    yield Tunnel(target)


@contextmanager
def proxy_chain(setup: Setup, target: int, hops: int) -> Iterator[Tunnel]:
    """Lend a chain of proxies."""
    sites = SITES[hops]
    ports = [*(free_port() for _ in sites), target]
    with Programs() as programs:
        authority = LittleAuthority(programs.directory)
        pids = {}
        for index in reversed(range(len(sites))):
            hop = Hop(
                site=sites[index],
                certificate=authority.issue(sites[index]),
                root=authority.root,
                listen=ports[index],
                connect=ports[index + 1],
                previous=sites[index - 1] if index else None,
                next=sites[index + 1] if index < hops else None,
                inner=free_port(),
            )
            command = setup(hop, programs.directory / f"{hop.site}.conf")
            pids[hop.site] = programs.start_proxy(*command, port=hop.listen)
        yield Tunnel(ports[0], {site: pids[site] for site in sites})


@contextmanager
def van_chain(target: int, hops: int, *, checkout: Path | None = None) -> Iterator[Tunnel]:
    """Lend a chain of routers, of which the ends of three have no link to each other."""
    with Fleet(checkout) as fleet:
        yield start_chain(fleet, SITES[hops], target)[0]


def start_chain(fleet: Fleet, sites: Sequence[str], *targets: int) -> list[Tunnel]:
    """Start a chain of routers, and return a tunnel to each target when flows can begin."""
    ports = configure_chain(fleet, sites, *targets)
    fleet.run_all(sites)
    wait_for(lambda: is_warm(fleet, sites), "the routers have channels ready", timeout=60.0)
    return [Tunnel(port, {site: fleet.pid(site) for site in sites}) for port in ports]


def configure_chain(
    fleet: Fleet, sites: Sequence[str], *targets: int, host: str = LOOPBACK
) -> list[int]:
    """Write the files of a chain in which each site dials the next; return the entry's ports.

    Routers and targets listen at `host`, and the entry for programs at loopback. For each target
    there is an address, with a listener at the first site and a connector at the last.
    """
    entries = [free_port() for _ in targets]
    addresses = [Address("bench", number) for number, _ in enumerate(targets, start=1)]
    ports = {site: Endpoint(host, free_port()) for site in sites[1:]}
    for site, following in zip(sites, [*sites[1:], None], strict=True):
        config = SiteConfig(ports.get(site))
        if following is not None:
            config = attrs.evolve(config, links=(LinkConfig(following, (ports[following],)),))
        else:
            connectors = tuple(
                ConnectorConfig("tcp", address, Endpoint(host, target))
                for address, target in zip(addresses, targets, strict=True)
            )
            config = attrs.evolve(config, connectors=connectors)
        if site == sites[0]:
            listeners = tuple(
                ListenerConfig("tcp", address, Endpoint(LOOPBACK, port))
                for address, port in zip(addresses, entries, strict=True)
            )
            config = attrs.evolve(config, listeners=listeners)
        fleet.make(site, config)
    return entries


class SeenListener(msgspec.Struct):
    """What is asked of a listener."""

    state: str


class SeenSite(msgspec.Struct):
    """What is asked of a site."""

    site: str
    hops: int | None


class SeenLink(msgspec.Struct):
    """What is asked of a link."""

    state: str
    direction: str
    channels: int


class SeenStatus(msgspec.Struct):
    """What is asked of a router's state, which any version of it tells."""

    listeners: list[SeenListener]
    sites: list[SeenSite]
    links: list[SeenLink]


def is_warm(fleet: Fleet, sites: Sequence[str]) -> bool:
    """Tell whether the listeners lead along the chain, and all its links have channels ready."""
    states = [fleet.look_for(site, SeenStatus) for site in sites]
    entry, exit_ = states[0], sites[-1]
    return (
        entry is not None
        and all(listener.state == "open" for listener in entry.listeners)
        and any(each.site == exit_ and each.hops == len(sites) - 1 for each in entry.sites)
        and all(
            link.state == "up" and link.channels >= SPARES
            for state in states[:-1]
            for link in (state.links if state is not None else ())
            if link.direction == "outgoing"
        )
    )


CONTENDERS: Final = {
    DIRECT: Contender(direct),
    "haproxy": Contender(partial(proxy_chain, proxies.haproxy), ("haproxy",)),
    "nginx": Contender(partial(proxy_chain, proxies.nginx), ("nginx",), (proxies.STREAM_MODULE,)),
    "stunnel": Contender(partial(proxy_chain, proxies.stunnel), ("stunnel",)),
    "envoy": Contender(partial(proxy_chain, envoy), ("envoy",)),
    VAN: Contender(van_chain),
}


def contender(name: str, before: Path | None) -> Contender:
    """Return a contender by its name; `before` is the checkout whose routers were before."""
    return Contender(partial(van_chain, checkout=before)) if name == BEFORE else CONTENDERS[name]


def routers(names: Sequence[str], before: Path | None) -> dict[str, Path | None]:
    """Return those of the contenders that are routers, with the checkout of each; None for this."""
    checkouts = {VAN: None, BEFORE: before}
    return {name: checkouts[name] for name in names if name in checkouts}


PROXIES: Final = ("haproxy", "nginx", "stunnel", "envoy")
