"""What routes ought to be, computed apart from van: all shortest paths, by scipy."""

from collections.abc import Callable, Collection, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from lab.routing.fabric import Fabric
from lab.routing.topology import Link
from van.routing.paths.fib import Fib
from van.routing.paths.service_index import ServiceKey

Costs = NDArray[np.float64]


class Truth:
    """The sites that run, and the best paths over some of the links between them."""

    def __init__(self, network: Fabric, counts: Callable[[Link], bool] = Link.is_up) -> None:
        self.names = sorted(name for name, site in network.sites.items() if site.is_running)
        self.index = {name: number for number, name in enumerate(self.names)}
        self.links: dict[str, dict[str, int]] = {name: {} for name in self.names}
        for link in network.links.values():
            if counts(link) and all(end in self.index for end in link.ends):
                for end in link.ends:
                    self.links[end][link.other(end)] = link.costs[end]
        self._no_transit = {name for name in self.names if not network.sites[name].is_transit}
        self._onward: Costs = dijkstra(self._matrix(but=self._no_transit), directed=True)
        """What a path costs from each site on for what comes from another site."""
        self.costs = self._costs_at_origin()
        """From each site (a row) to each other; infinite where there is no path."""
        self.reached: list[int] = np.isfinite(self.costs).sum(axis=1).tolist()
        self._serving = _serving(network, self.names)

    def _matrix(self, but: Collection[str] = ()) -> csr_array:
        """Return the costs of links, without those that lead away from some sites."""
        edges = [
            (self.index[a], self.index[b], cost)
            for a, neighbors in self.links.items()
            if a not in but
            for b, cost in neighbors.items()
        ]
        rows, columns, costs = zip(*edges, strict=True) if edges else ((), (), ())
        size = len(self.names)
        return csr_array((np.array(costs, dtype=float), (rows, columns)), shape=(size, size))

    def _costs_at_origin(self) -> Costs:
        costs = self._onward.copy()
        for name in self._no_transit:
            row = self.index[name]
            for offered in self.costs_through(name).values():
                costs[row] = np.minimum(costs[row], offered)
            costs[row, row] = 0.0
        return costs

    def components(self) -> list[list[str]]:
        """Return the sites, parted into those that reach each other."""
        count, labels = connected_components(self._matrix(), directed=False)
        parts: list[list[str]] = [[] for _ in range(count)]
        for name, label in zip(self.names, labels, strict=True):
            parts[label].append(name)
        return parts

    def costs_from(self, site: str) -> dict[str, int]:
        """Return the least cost to each site that can be reached."""
        row = self.costs[self.index[site]].tolist()
        return {
            name: int(cost) for name, cost in zip(self.names, row, strict=True) if cost < np.inf
        }

    def costs_through(self, site: str) -> dict[str, list[float]]:
        """Return for each neighbour the least costs to all sites by way of it."""
        return {
            hop: (self._onward[self.index[hop]] + cost).tolist()
            for hop, cost in self.links[site].items()
        }

    def services_at(self, site: str) -> Mapping[ServiceKey, tuple[str, ...]]:
        """Return what can be reached from a site, and where it is served."""
        row = self.costs[self.index[site]]
        if self.reached[self.index[site]] == len(self.names):
            return self._serving
        return {
            key: reachable
            for key, sites in self._serving.items()
            if (reachable := tuple(each for each in sites if row[self.index[each]] < np.inf))
        }

    def agrees(self, fib: Fib) -> bool:
        """Tell whether a table is right: all costs are least, every next hop is on a best path,
        and every service is known where it is."""
        row = self.index[fib.site]
        if len(fib.routes) != self.reached[row]:
            return False
        costs = self.costs[row].tolist()
        through = self.costs_through(fib.site)
        for name, route in fib.routes.items():
            number = self.index.get(name)
            if number is None or route.cost != costs[number]:
                return False
            if name != fib.site and not _are_on_best_path(route.next_hops, through, number, costs):
                return False
        return fib.services == self.services_at(fib.site)


def _are_on_best_path(
    hops: tuple[str, ...], through: Mapping[str, list[float]], number: int, costs: list[float]
) -> bool:
    return bool(hops) and all(
        hop in through and through[hop][number] == costs[number] for hop in hops
    )


def _serving(network: Fabric, names: list[str]) -> dict[ServiceKey, tuple[str, ...]]:
    serving: dict[ServiceKey, list[str]] = {}
    for name in names:
        for service in network.sites[name].services:
            serving.setdefault((service.protocol, service.address), []).append(name)
    return {key: tuple(sites) for key, sites in serving.items()}
