"""When routes and the forwarding table are computed, and from what."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from van.routing.database.lsdb import Change, Lsdb
from van.routing.engine.origination import Originator
from van.routing.paths.alternates import Alternates
from van.routing.paths.fib import Fib, FibBuilder
from van.routing.paths.spf import Graph, Route, shortest_paths
from van.routing.schedule.backoff import Backoff
from van.routing.schedule.timers import Pacer, Timers
from van.wire.lsa import AdjacenciesBody

QUIET_TIME = 0.2
"""Seconds after a computation of routes before alternates to them are looked for."""
STEP_INTERVAL = 0.02
"""Seconds between two looks at a neighbour: each is a route computation of its own."""


class Forwarding:
    """Owns the present `Fib`.

    Of our own adjacencies and addresses the present truth counts, even if it is not advertised
    yet; of all others, what they advertise.
    """

    def __init__(self, site: str, lsdb: Lsdb, originator: Originator, *, timers: Timers) -> None:
        self._site = site
        self._lsdb = lsdb
        self._originator = originator
        self._spf = Backoff(timers.spf_delays)
        self._tables = Pacer(timers.tables_interval)
        self._alternates = Alternates(site)
        self._look_at = math.inf
        self._has_new_alternates = False
        self._lost: list[str] = []
        self._builder = FibBuilder(site)
        adjacencies = self._adjacencies()
        self.fib = self._build(self._routes(Graph.of(adjacencies)), adjacencies)

    def request(self, change: Change, now: float) -> None:
        """Compute anew what a change affects, as soon as the pace allows."""
        if change is Change.TOPOLOGY:
            self._spf.change(now)
        elif change is Change.TABLES:
            self._tables.request()

    @property
    def has_routes_to_compute(self) -> bool:
        """Tell whether routes do not follow yet from all that is held."""
        return self._spf.due_at() < math.inf

    def lose(self, neighbor: str) -> None:
        """Send nothing through a neighbour from now on, whenever routes are computed anew."""
        self._lost.append(neighbor)
        self._alternates.lose(neighbor)

    def update(self, now: float) -> bool:
        """Compute what is due, and tell whether the table is another one now."""
        is_spf_due = self._spf.take(now)
        are_tables_due = self._tables.take(now)
        lost, self._lost = self._lost, []
        if now >= self._look_at and not is_spf_due:
            self._look_for_alternates(now)
        if not is_spf_due and not are_tables_due and not lost:
            return False
        adjacencies = self._adjacencies()
        routes = self.fib.routes if is_spf_due else self._without(self.fib.routes, lost)
        if is_spf_due or len(routes) < len(self.fib.routes):
            # What we lost ourselves is certain, so that nothing that could be reached waits.
            self._spf.done()
            graph = Graph.of(adjacencies)
            if (found := self._routes(graph)) != routes:
                routes = found
            self._alternates.begin(graph, routes)
            self._look_at = now + QUIET_TIME
        fib = self._build(routes, adjacencies)
        if fib == self.fib:
            return False
        self.fib = fib
        return True

    def take_news_of_alternates(self) -> bool:
        """Tell whether second hops have changed since this was last asked."""
        is_news, self._has_new_alternates = self._has_new_alternates, False
        return is_news

    def second_hop(self, site: str) -> str | None:
        """Return a neighbour to go through other than the first choice, or None."""
        route = self.fib.routes.get(site)
        if route is not None and len(route.next_hops) > 1:
            return route.next_hops[1]
        hop = self._alternates.second_hop(site)
        return None if route is None or hop in route.next_hops else hop

    def due_at(self) -> float:
        """Return when there will be something to compute, or infinity."""
        return min(self._spf.due_at(), self._tables.due_at(), self._look_at)

    def _look_for_alternates(self, now: float) -> None:
        self._has_new_alternates |= self._alternates.step()
        self._look_at = math.inf if self._alternates.is_done else now + STEP_INTERVAL

    def _without(self, routes: Mapping[str, Route], lost: list[str]) -> Mapping[str, Route]:
        for neighbor in lost:
            if any(neighbor in route.next_hops for route in routes.values()):
                routes = MappingProxyType(self._alternates.without(routes, neighbor))
        return routes

    def _adjacencies(self) -> dict[str, AdjacenciesBody]:
        adjacencies = self._lsdb.adjacencies()
        adjacencies[self._site] = self._originator.adjacencies_body()
        return adjacencies

    def _routes(self, graph: Graph) -> Mapping[str, Route]:
        return MappingProxyType(shortest_paths(graph, self._site))

    def _build(
        self, routes: Mapping[str, Route], adjacencies: Mapping[str, AdjacenciesBody]
    ) -> Fib:
        addresses = self._lsdb.addresses()
        addresses[self._site] = self._originator.addresses
        return self._builder.build(routes, adjacencies, addresses)
