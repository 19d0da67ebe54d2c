"""Shortest path first: Dijkstra's algorithm with all equal-cost next hops."""

import heapq
from collections.abc import Mapping

import attrs

Graph = Mapping[str, Mapping[str, int]]
"""For each site, its neighbours and the cost of the way to them; costs are positive."""


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
    a lie.
    """
    order, costs, parents = _search(graph, source)
    routes = {source: Route(cost=0, next_hops=(), hops=0, path=(source,))}
    for site in order[1:]:
        routes[site] = _join(site, costs[site], [routes[parent] for parent in parents[site]])
    return routes


def _search(graph: Graph, source: str) -> tuple[list[str], dict[str, int], dict[str, list[str]]]:
    """Return the sites in order of cost, their costs, and all their parents on shortest paths."""
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
        for neighbor, link_cost in graph.get(site, {}).items():
            if site not in graph.get(neighbor, ()):
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
