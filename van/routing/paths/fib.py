"""The forwarding table: an immutable answer to "where to" for the data plane and for display."""

import itertools
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import attrs

from van.routing.paths.service_index import Index, ServiceIndex, ServiceKey, Terms
from van.routing.paths.spf import Graph, Route
from van.wire.channel import MAX_HOPS
from van.wire.lsa import (
    AddressesBody,
    AdjacenciesBody,
    Adjacency,
    Binding,
    Distribution,
    Service,
)

COST_UNIT = 0.001
"""Seconds of round trip that a cost of 1 stands for, as where costs follow the round trip."""
SPARE_HOPS = 8
"""Sites that may pass a relay on beyond those on the path that its ingress knows."""
_DISTRIBUTIONS = frozenset(int(each) for each in Distribution)


@attrs.frozen
class Fib:
    """What a site knows of the network at one moment. `routes` is the same object as before when
    no route has changed."""

    site: str
    routes: Mapping[str, Route]
    """Sites that can be reached, our own among them at cost 0 with no next hop."""
    services: Index
    """Sites that serve an address and can be reached, sorted."""
    terms: Terms[Service]
    """What each of those sites says of the address, in the same order."""
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

    def cost_along(self, path: Sequence[str]) -> float:
        """Return what a path costs at present; infinity where nothing can be sent along it."""
        if not self.no_transit.isdisjoint(path[1:-1]):
            return math.inf
        return sum(itertools.starmap(self._cost_of_link, itertools.pairwise(path)))

    def _cost_of_link(self, near: str, far: str) -> float:
        if near in self.sites.get(far, ()):  # both ends have to say so
            for each in self.adjacencies.get(near, ()):
                if each.neighbor == far:
                    return each.cost
        return math.inf

    def distribution(self, service: ServiceKey) -> Distribution:
        """Return how an address is distributed: as the site says that has served it longest."""
        terms = self.terms.get(service, ())
        if not terms:
            return Distribution.BALANCED
        # Of equal age, the first by name: sites are sorted, and `min` takes the first of equals.
        return distribution_of(min(terms, key=_since))

    def dissenters(self, service: ServiceKey) -> tuple[str, ...]:
        """Return the sites that say an address is distributed in another way than it is."""
        agreed = self.distribution(service)
        pairs = zip(self.services.get(service, ()), self.terms.get(service, ()), strict=True)
        return tuple(site for site, terms in pairs if distribution_of(terms) is not agreed)

    def round_trip(self, site: str) -> float:
        """Return about how many seconds the way to a site and back takes; 0 where there is none.

        It is the sum of what the links measured, or of their costs in milliseconds where they have
        not yet. A path whose cost somebody set above one per link counts as at least that much.
        """
        route = self.routes.get(site)
        if route is None:
            return 0.0
        measured = 0
        for near, far in itertools.pairwise(route.path):
            for each in self.adjacencies.get(near, ()):
                if each.neighbor == far:
                    measured += each.round_trip or each.cost * 1000
                    break
        return max(measured / 1e6, (route.cost - route.hops) * COST_UNIT)

    def __repr__(self) -> str:
        return (
            f"<Fib of {self.site!r} sites={len(self.sites)} reachable={len(self.routes)} "
            f"services={len(self.services)}>"
        )


def distribution_of(terms: Service) -> Distribution:
    """Return what a site says of an address's distribution."""
    known = terms.distribution in _DISTRIBUTIONS
    return Distribution(terms.distribution) if known else Distribution.BALANCED


def _since(terms: Service) -> int:
    return terms.since


class FibBuilder:
    """Puts tables of one site together, each from what has changed since the last one."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._services = ServiceIndex[Service]()
        self._listeners = ServiceIndex[Binding]()

    def build(
        self,
        routes: Mapping[str, Route],
        adjacencies: Mapping[str, AdjacenciesBody],
        addresses: Mapping[str, AddressesBody],
    ) -> Fib:
        """Return the table of routes and of what each origin advertises."""
        reachable = {origin: body for origin, body in addresses.items() if origin in routes}
        self._services.update({origin: body.services for origin, body in reachable.items()})
        self._listeners.update({origin: body.listeners for origin, body in reachable.items()})
        return Fib(
            site=self._site,
            routes=routes,
            services=self._services.sites,
            terms=self._services.terms,
            listeners=self._listeners.sites,
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
