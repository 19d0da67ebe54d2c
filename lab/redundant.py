"""A VAN of router processes in which every path has another beside it, and every link can fail.

West, where the clients are, and east, where the server is, each have a link to every site of a row
of transit sites; the two rows are linked crosswise, and some more sites hang on both. Each link
runs through a cable of its own.

        a1 ── b1
      /    \\/    \\
  west  …  /\\  …  east
      \\    /\\    /
        a4 ── b4
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs
import networkx as nx

from lab.cables import Cables
from lab.fleet import Fleet
from lab.ports import free_port
from lab.processes import wait_for
from van.config import ConnectorConfig, LinkConfig, ListenerConfig, SiteConfig
from van.names import Address, Endpoint

CLIENT: Final = "west"
SERVER: Final = "east"
ADDRESS: Final = Address("echo", 7)
PROBE: Final = 128 * 1024
"""Bytes of one flow by which its path is found."""
WHOLE_TIMEOUT: Final = 120.0


def cable_name(one: str, other: str) -> str:
    """Return the name of the cable between two sites."""
    return "-".join(sorted((one, other)))


@attrs.frozen
class Path:
    """The way that a flow takes: the sites from the client's to the server's, both included."""

    sites: tuple[str, ...]

    @property
    def cables(self) -> tuple[str, ...]:
        """Return the cables in order."""
        return tuple(map(cable_name, self.sites, self.sites[1:]))

    @property
    def transits(self) -> tuple[str, ...]:
        """Return the sites between."""
        return self.sites[1:-1]


class Redundant(Fleet):
    """The sites, their routers, and the cables; started by `redundant`."""

    def __init__(self, cables: Cables, *, target: int, rows: int, leaves: int) -> None:
        super().__init__()
        self.cables = cables
        self.client_port = free_port()
        spans = plan(rows, leaves)
        self.graph: nx.Graph[str] = nx.Graph(spans)
        self.costs = dict(nx.all_pairs_shortest_path_length(self.graph))
        listening = {acceptor: _local(free_port()) for _, acceptor in spans}
        dials: dict[str, list[LinkConfig]] = {site: [] for site in self.graph}
        for dialler, acceptor in spans:
            near = cables.lay(cable_name(dialler, acceptor), listening[acceptor].port)
            dials[dialler].append(LinkConfig(acceptor, (_local(near),)))
        for site in self.graph:
            config = SiteConfig(listening.get(site), links=tuple(dials[site]))
            if site == SERVER:
                connector = ConnectorConfig("tcp", ADDRESS, _local(target))
                config = attrs.evolve(config, connectors=(connector,))
            if site == CLIENT:
                listener = ListenerConfig("tcp", ADDRESS, _local(self.client_port))
                config = attrs.evolve(config, listeners=(listener,))
            self.make(site, config)

    @property
    def sites(self) -> tuple[str, ...]:
        """Return the names of all sites."""
        return tuple(self.graph)

    def is_whole(self) -> bool:
        """Tell whether all routers have their links, and all see the paths of the whole network."""
        return not self.wounds()

    def wounds(self) -> list[str]:
        """Return what keeps the network from being whole."""
        return [text for site in self.sites if (text := self._wound(site))]

    def _wound(self, site: str) -> str:
        status = self.look(site)
        if status is None:
            return f"{site} does not answer"
        up = {link.neighbor for link in status.links if link.state == "up"}
        if missing := set(self.graph[site]) - up:
            return f"{site} has no link to {', '.join(sorted(missing))}"
        costs = {each.site: each.cost for each in status.sites}
        if costs != self.costs[site]:
            return f"{site} sees other costs than those of the whole network"
        if not all(listener.state == "open" for listener in status.listeners):
            return f"{site} has a listener that is not open"
        return ""

    def wait_whole(self) -> None:
        """Wait until the network is whole; fail saying what is missing."""
        try:
            wait_for(self.is_whole, "the network is whole", timeout=WHOLE_TIMEOUT)
        except AssertionError as exc:
            raise AssertionError(f"{exc}: {'; '.join(self.wounds())}") from None

    def path_of(self, before: dict[str, int], after: dict[str, int]) -> Path:
        """Return the path on which the cables carried a probe, from counts before and after."""
        used = [name for name, count in after.items() if count - before[name] >= PROBE]
        way = nx.Graph(tuple(name.split("-")) for name in used)
        return Path(tuple(nx.shortest_path(way, CLIENT, SERVER)))


def _local(port: int) -> Endpoint:
    return Endpoint("127.0.0.1", port)


def plan(rows: int, leaves: int) -> list[tuple[str, str]]:
    """Return the links, each as the site that dials and the one that is dialled."""
    spans = []
    for row in range(1, rows + 1):
        spans += [
            (CLIENT, f"a{row}"),
            (f"a{row}", f"b{row}"),
            (f"a{row}", f"b{row % rows + 1}"),
            (SERVER, f"b{row}"),
        ]
    for leaf in range(1, leaves + 1):
        spans += [(f"leaf{leaf}", f"a{leaf}"), (f"leaf{leaf}", f"b{rows + 1 - leaf}")]
    return spans


@contextmanager
def redundant(target: int, *, rows: int = 4, leaves: int = 2) -> Iterator[Redundant]:
    """Lend such a network, whole, with a server's port behind its address."""
    with Cables() as cables, Redundant(cables, target=target, rows=rows, leaves=leaves) as net:
        net.run_all(net.sites)
        net.wait_whole()
        yield net
