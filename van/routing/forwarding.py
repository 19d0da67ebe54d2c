"""When routes and the forwarding table are computed, and from what."""

from collections.abc import Mapping
from types import MappingProxyType

from van.routing.fib import Fib, build_fib
from van.routing.lsdb import Change, Lsdb
from van.routing.origination import Originator
from van.routing.spf import Route, shortest_paths
from van.routing.timers import Pacer, Timers


class Forwarding:
    """Owns the present `Fib`.

    Of our own adjacencies and addresses the present truth counts, even if it is not advertised
    yet; of all others, what they advertise.
    """

    def __init__(self, site: str, lsdb: Lsdb, originator: Originator, *, timers: Timers) -> None:
        self._site = site
        self._lsdb = lsdb
        self._originator = originator
        self._spf = Pacer(timers.spf_delay)
        self._tables = Pacer(timers.spf_delay)
        self.fib = self._build(self._routes())

    def request(self, change: Change) -> None:
        """Compute anew what a change affects, as soon as the pace allows."""
        if change is Change.TOPOLOGY:
            self._spf.request()
        elif change is Change.TABLES:
            self._tables.request()

    def update(self, now: float) -> bool:
        """Compute what is due, and tell whether the table is another one now."""
        is_spf_due = self._spf.take(now)
        are_tables_due = self._tables.take(now)
        if not is_spf_due and not are_tables_due:
            return False
        routes = self.fib.routes
        if is_spf_due and (found := self._routes()) != routes:
            routes = found
        fib = self._build(routes)
        if fib == self.fib:
            return False
        self.fib = fib
        return True

    def due_at(self) -> float:
        """Return when there will be something to compute, or infinity."""
        return min(self._spf.due_at(), self._tables.due_at())

    def _routes(self) -> Mapping[str, Route]:
        graph = {
            origin: {adjacency.neighbor: adjacency.cost for adjacency in adjacencies}
            for origin, adjacencies in self._lsdb.adjacencies().items()
        }
        graph[self._site] = {
            adjacency.neighbor: adjacency.cost for adjacency in self._originator.adjacencies
        }
        return MappingProxyType(shortest_paths(graph, self._site))

    def _build(self, routes: Mapping[str, Route]) -> Fib:
        adjacencies = self._lsdb.adjacencies()
        adjacencies[self._site] = self._originator.adjacencies
        addresses = self._lsdb.addresses()
        addresses[self._site] = self._originator.addresses
        return build_fib(self._site, routes, adjacencies, addresses)
