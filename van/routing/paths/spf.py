"""Shortest path first: Dijkstra's algorithm with all equal-cost next hops."""

import heapq
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import attrs

from van.wire.lsa import AdjacenciesBody


@attrs.frozen
class Graph:
    """The network as routes see it."""

    links: Mapping[str, Mapping[str, int]]
    """For each site, its neighbours and the cost of the way to them; costs are positive."""
    no_transit: AbstractSet[str] = frozenset()
    """Sites that nothing may be sent through."""

    @classmethod
    def of(cls, adjacencies: Mapping[str, AdjacenciesBody]) -> "Graph":
        """Return the graph that advertised adjacencies describe."""
        return cls(
            {
                origin: {each.neighbor: each.cost for each in body.adjacencies}
                for origin, body in adjacencies.items()
            },
            frozenset(origin for origin, body in adjacencies.items() if not body.is_transit),
        )

    def is_two_way(self, site: str, neighbor: str) -> bool:
        """Tell whether both ends advertise an adjacency."""
        return neighbor in self.links.get(site, ()) and site in self.links.get(neighbor, ())


@attrs.frozen
class Route:
    """How one site is reached from another."""

    cost: int
    next_hops: tuple[str, ...]
    """Neighbours that begin a path of least cost, sorted; empty for the source itself."""
    hops: int
    """Links on `path`."""
    path: tuple[str, ...]
    """One path of least cost from the source on: the fewest hops, then the first by name."""


def shortest_paths(graph: Graph, source: str) -> dict[str, Route]:
    """Return a route for each site that can be reached, the source included.

    Only adjacencies that both ends advertise are used: what one end alone says may be stale, or
    a lie. A path may begin or end at a site that declines transit, but not pass through.
    """
    order, costs, parents = _search(graph, source)
    routes = {source: Route(cost=0, next_hops=(), hops=0, path=(source,))}
    for site in order[1:]:
        routes[site] = _join(site, costs[site], [routes[parent] for parent in parents[site]])
    return routes


def _search(graph: Graph, source: str) -> tuple[list[str], dict[str, int], dict[str, list[str]]]:
    """Return the sites in order of cost, their costs, and all their parents on shortest paths."""
    links, no_transit = graph.links, graph.no_transit
    order: list[str] = []
    costs = {source: 0}
    parents: dict[str, list[str]] = {source: []}
    settled: set[str] = set()
    queue = [(0, source)]
    while queue:
        cost, site = heapq.heappop(queue)
        if site in settled:
            continue
        settled.add(site)
        order.append(site)
        if site in no_transit and site != source:
            continue
        for neighbor, link_cost in links.get(site, {}).items():
            if site not in links.get(neighbor, ()):
                continue
            offer = cost + link_cost
            best = costs.get(neighbor)
            if best is None or offer < best:
                costs[neighbor] = offer
                parents[neighbor] = [site]
                heapq.heappush(queue, (offer, neighbor))
            elif offer == best:
                parents[neighbor].append(site)
    return order, costs, parents


def _join(site: str, cost: int, parents: list[Route]) -> Route:
    """Extend the parents' routes by one link to a site."""
    if len(parents) == 1:
        next_hops = parents[0].next_hops or (site,)
        path = parents[0].path
    else:
        next_hops = tuple(sorted({hop for route in parents for hop in route.next_hops or (site,)}))
        path = min((route.path for route in parents), key=lambda path: (len(path), path))
    return Route(cost=cost, next_hops=next_hops, hops=len(path), path=(*path, site))
