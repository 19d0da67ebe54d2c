"""What must be true of a network once it is quiet."""

from collections.abc import Mapping
from itertools import pairwise

import networkx as nx

from tests.routing.simulation import Network

Costs = Mapping[str, Mapping[str, int]]
"""Cost of the best path from each site to each that it can reach."""


def true_graph(network: Network) -> nx.DiGraph:
    """Return the sites that run, and the links that are up with the cost of each direction."""
    graph = nx.DiGraph()
    graph.add_nodes_from(name for name, site in network.sites.items() if site.is_running)
    for link in network.links.values():
        if link.is_up():
            for end in link.ends:
                graph.add_edge(end, link.other(end), cost=link.costs[end])
    return graph


def check_all(network: Network) -> None:
    """Check every invariant."""
    graph = true_graph(network)
    costs = dict(nx.all_pairs_dijkstra_path_length(graph, weight="cost"))
    for component in nx.weakly_connected_components(graph):
        check_databases_agree(network, component)
        for site in component:
            check_routes(network, graph, costs, site)
            check_addresses(network, component, site)
        check_forwarding(network, component)


def check_databases_agree(network: Network, component: set[str]) -> None:
    first, *others = sorted(component)
    for other in others:
        assert network.engine(other).held() == network.engine(first).held(), (first, other)


def check_routes(network: Network, graph: nx.DiGraph, costs: Costs, site: str) -> None:
    """Check that exactly what is connected is reached, at the costs that networkx finds."""
    routes = network.engine(site).fib.routes
    assert {name: route.cost for name, route in routes.items()} == costs[site]
    for name, route in routes.items():
        assert route.hops == len(route.path) - 1
        assert sum(graph[a][b]["cost"] for a, b in pairwise(route.path)) == route.cost
        if name != site:
            assert set(route.next_hops) == {
                hop
                for hop, link in graph[site].items()
                if link["cost"] + costs[hop][name] == route.cost
            }


def check_forwarding(network: Network, component: set[str]) -> None:
    """Check that hop by hop, whichever next hop is taken, one comes nearer and arrives."""
    for destination in component:
        for site in component - {destination}:
            route = network.engine(site).fib.routes[destination]
            for hop in route.next_hops:
                assert hop in component
                assert network.engine(hop).fib.routes[destination].cost < route.cost


def check_addresses(network: Network, component: set[str], site: str) -> None:
    """Check that an address is known at exactly the sites that serve it and can be reached."""
    serving: dict[tuple[str, str], set[str]] = {}
    for name in component:
        for service in network.sites[name].services:
            serving.setdefault((service.protocol, service.address), set()).add(name)
    found = network.engine(site).fib.services
    assert {key: set(sites) for key, sites in found.items()} == serving
