"""Loop-free alternates: the way on when a neighbour is lost, found before it is lost.

RFC 5286. A neighbour is an alternate toward a site if its own best path there does not come back
through us; one whose best path avoids the neighbour that is lost as well comes first, as it is more
often the site than the link that fails. To know the best paths of neighbours takes a route
computation from each, so it is done one at a time in quiet moments.
"""

from collections.abc import Mapping

import attrs

from van.routing.paths.spf import Graph, Route, shortest_paths

MAX_EXAMINED = 16
"""Neighbours whose paths are computed: the nearest. In a mesh that dense, all of their alternates
lost at one moment is a case for the next computation of routes."""


class Alternates:
    """Finds a spare route for each site that has no second next hop of equal cost."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._graph = Graph({})
        self._routes: Mapping[str, Route] = {}
        self._unexamined: list[str] = []
        self._found: dict[str, tuple[bool, Route]] = {}
        """By site: whether the route avoids the present next hop altogether, and the route."""
        self._second_hops: dict[str, str] = {}
        """By site: the neighbour of the spare route that was found, when all had been looked at."""

    def begin(self, graph: Graph, routes: Mapping[str, Route]) -> None:
        """Forget what was found, and prepare to look at each neighbour for new routes."""
        self._graph, self._routes, self._found = graph, routes, {}
        ours = graph.links.get(self._site, {})
        neighbors = sorted(
            (cost, name)
            for name, cost in ours.items()
            if graph.is_two_way(self._site, name) and len(graph.links[name]) > 1
        )
        # The last is looked at first.
        self._unexamined = [name for _, name in neighbors[MAX_EXAMINED - 1 :: -1]]

    def lose(self, neighbor: str) -> None:
        """Forget spare routes through a neighbour that is lost: the next loss may come before all
        is computed anew."""
        self._unexamined = [name for name in self._unexamined if name != neighbor]
        self._found = {
            site: (avoids, route)
            for site, (avoids, route) in self._found.items()
            if neighbor not in route.next_hops
        }
        self._second_hops = {
            site: hop for site, hop in self._second_hops.items() if hop != neighbor
        }

    def second_hop(self, site: str) -> str | None:
        """Return the neighbour of a spare route to a site, as it was found last."""
        return self._second_hops.get(site)

    @property
    def is_done(self) -> bool:
        """Tell whether all neighbours have been looked at."""
        return not self._unexamined

    def step(self) -> bool:
        """Look at one more neighbour: one route computation.

        Tells whether that was the last, and there are other second hops than before.
        """
        if self._unexamined:
            self._examine(self._unexamined.pop())
        if self._unexamined:
            return False
        before = self._second_hops
        self._second_hops = {site: route.next_hops[0] for site, (_, route) in self._found.items()}
        return self._second_hops != before

    def _examine(self, neighbor: str) -> None:
        theirs = shortest_paths(self._graph, neighbor)
        back = theirs.get(self._site)
        if back is None:
            return
        link_cost = self._graph.links[self._site][neighbor]
        is_transit = neighbor not in self._graph.no_transit
        for site, ours in self._routes.items():
            route = theirs.get(site)
            if route is None or len(ours.next_hops) != 1 or neighbor in ours.next_hops:
                continue
            if not (is_transit or site == neighbor):
                continue
            if route.cost >= back.cost + ours.cost:  # its best path may lead back through us
                continue
            spare = Route(
                cost=link_cost + route.cost,
                next_hops=(neighbor,),
                hops=route.hops + 1,
                path=(self._site, *route.path),
            )
            self._offer(site, spare, avoids=self._avoids(ours, theirs, route, site))

    def _avoids(self, ours: Route, theirs: Mapping[str, Route], route: Route, site: str) -> bool:
        """Tell whether a neighbour's path surely does not touch our present next hop."""
        (present,) = ours.next_hops
        to_present = theirs.get(present)
        if present == site:
            return False
        return to_present is None or (
            route.cost < to_present.cost + ours.cost - self._graph.links[self._site][present]
        )

    def _offer(self, site: str, spare: Route, *, avoids: bool) -> None:
        held = self._found.get(site)
        if held is None or (not held[0], held[1].cost) > (not avoids, spare.cost):
            self._found[site] = (avoids, spare)

    def without(self, routes: Mapping[str, Route], lost: str) -> dict[str, Route]:
        """Return routes that go on when a neighbour is lost, without those that can't.

        Other next hops of equal cost stay; failing these, an alternate takes over.
        """
        kept: dict[str, Route] = {}
        for site, route in routes.items():
            if lost not in route.next_hops:
                kept[site] = route
            elif len(route.next_hops) > 1:
                rest = tuple(hop for hop in route.next_hops if hop != lost)
                kept[site] = attrs.evolve(route, next_hops=rest)
            elif (found := self._found.get(site)) is not None and lost not in found[1].next_hops:
                kept[site] = found[1]
        return kept
