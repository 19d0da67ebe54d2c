"""The forwarding table: an immutable answer to "where to" for the data plane and for display."""

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from van.routing.service_index import Index, ServiceIndex
from van.routing.spf import Graph, Route
from van.wire.channel import MAX_HOPS
from van.wire.lsa import AddressesBody, AdjacenciesBody, Adjacency

SPARE_HOPS = 8
"""Sites that may pass a relay on beyond those on the path that its ingress knows."""


@attrs.frozen
class Fib:
    """What a site knows of the network at one moment. `routes` is the same object as before when
    no route has changed."""

    site: str
    routes: Mapping[str, Route]
    """Sites that can be reached, our own among them at cost 0 with no next hop."""
    services: Index
    """Sites that serve an address and can be reached, sorted."""
    listeners: Index
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

    def next_hop(self, site: str, choice: int = 0) -> str | None:
        """Return the neighbour to go through, or None for our own site and for no path.

        Of several next hops of equal cost, a choice other than 0 takes another, counting round.
        """
        route = self.routes.get(site)
        if route is None or not route.next_hops:
            return None
        return route.next_hops[choice % len(route.next_hops)]

    def hop_limit(self, site: str) -> int:
        """Return how many sites may pass on what is sent to a site: some more than should have to,
        so that a detour is possible, and a loop soon ends."""
        route = self.routes.get(site)
        return min(MAX_HOPS, (route.hops if route is not None else 0) + SPARE_HOPS)

    def __repr__(self) -> str:
        return (
            f"<Fib of {self.site!r} sites={len(self.sites)} reachable={len(self.routes)} "
            f"services={len(self.services)}>"
        )


class FibBuilder:
    """Puts tables of one site together, each from what has changed since the last one."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._services = ServiceIndex()
        self._listeners = ServiceIndex()

    def build(
        self,
        routes: Mapping[str, Route],
        adjacencies: Mapping[str, AdjacenciesBody],
        addresses: Mapping[str, AddressesBody],
    ) -> Fib:
        """Return the table of routes and of what each origin advertises."""
        reachable = {origin: body for origin, body in addresses.items() if origin in routes}
        return Fib(
            site=self._site,
            routes=routes,
            services=self._services.update(
                {origin: body.services for origin, body in reachable.items()}
            ),
            listeners=self._listeners.update(
                {origin: body.listeners for origin, body in reachable.items()}
            ),
            sites=MappingProxyType(
                {
                    origin: tuple(sorted(each.neighbor for each in body.adjacencies))
                    for origin, body in sorted(adjacencies.items())
                }
            ),
            adjacencies=MappingProxyType(
                {origin: body.adjacencies for origin, body in adjacencies.items()}
            ),
            no_transit=frozenset(
                origin for origin, body in adjacencies.items() if not body.is_transit
            ),
        )
