"""The forwarding table: an immutable answer to "where to" for the data plane and for display."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import attrs

from van.routing.spf import Graph, Route
from van.wire.lsa import AddressesBody, AdjacenciesBody, Adjacency, Service

ServiceKey = tuple[str, str]
"""Protocol and VAN address, such as `("tcp", "db:5432")`."""


@attrs.frozen
class Fib:
    """What a site knows of the network at one moment. `routes` is the same object as before when
    no route has changed."""

    site: str
    routes: Mapping[str, Route]
    """Sites that can be reached, our own among them at cost 0 with no next hop."""
    services: Mapping[ServiceKey, tuple[str, ...]]
    """Sites that serve an address and can be reached, sorted."""
    listeners: Mapping[ServiceKey, tuple[str, ...]]
    """Sites that listen for an address and can be reached, sorted."""
    sites: Mapping[str, tuple[str, ...]]
    """All known sites, reachable or not, with the neighbours that each advertises, sorted."""
    adjacencies: Mapping[str, tuple[Adjacency, ...]]
    """The same with cost and round trip, as advertised."""
    no_transit: frozenset[str]
    """Sites that nothing is sent through."""

    def graph(self) -> Graph:
        """Return the network as routes are computed from it."""
        return Graph(
            {
                origin: {each.neighbor: each.cost for each in adjacencies}
                for origin, adjacencies in self.adjacencies.items()
            },
            self.no_transit,
        )

    def next_hop(self, site: str) -> str | None:
        """Return the neighbour to go through, or None for our own site and for no path."""
        route = self.routes.get(site)
        return route.next_hops[0] if route is not None and route.next_hops else None

    def __repr__(self) -> str:
        return (
            f"<Fib of {self.site!r} sites={len(self.sites)} reachable={len(self.routes)} "
            f"services={len(self.services)}>"
        )


def build_fib(
    site: str,
    routes: Mapping[str, Route],
    adjacencies: Mapping[str, AdjacenciesBody],
    addresses: Mapping[str, AddressesBody],
) -> Fib:
    """Put together a table from routes and from what each origin advertises."""
    reachable = {origin: body for origin, body in sorted(addresses.items()) if origin in routes}
    return Fib(
        site=site,
        routes=routes,
        services=_index((origin, body.services) for origin, body in reachable.items()),
        listeners=_index((origin, body.listeners) for origin, body in reachable.items()),
        sites=MappingProxyType(
            {
                origin: tuple(sorted(each.neighbor for each in body.adjacencies))
                for origin, body in sorted(adjacencies.items())
            }
        ),
        adjacencies=MappingProxyType(
            {origin: body.adjacencies for origin, body in adjacencies.items()}
        ),
        no_transit=frozenset(origin for origin, body in adjacencies.items() if not body.is_transit),
    )


def _index(
    advertised: Iterable[tuple[str, tuple[Service, ...]]],
) -> Mapping[ServiceKey, tuple[str, ...]]:
    index: dict[ServiceKey, dict[str, None]] = {}
    for origin, services in advertised:
        for service in services:
            index.setdefault((service.protocol, service.address), {})[origin] = None
    return MappingProxyType({key: tuple(origins) for key, origins in sorted(index.items())})
