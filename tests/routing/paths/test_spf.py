from collections.abc import Mapping

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.routing.paths.spf import Graph, shortest_paths

Links = Mapping[str, Mapping[str, int]]
NAMES = "abcdefgh"
sites = st.sampled_from(NAMES)
# One-way links are generated too, or a missing two-way check would go unseen.
graphs = st.dictionaries(sites, st.dictionaries(sites, st.integers(1, 4)), min_size=1)


def two_way(links: Links) -> nx.DiGraph:
    found = nx.DiGraph()
    found.add_nodes_from(NAMES)
    for site, found_links in links.items():
        for neighbor, cost in found_links.items():
            if site in links.get(neighbor, {}) and site != neighbor:
                found.add_edge(site, neighbor, cost=cost)
    return found


@given(graphs)
def test_costs_and_paths_agree_with_networkx(graph):
    reference = two_way(graph)
    costs = nx.single_source_dijkstra_path_length(reference, "a", weight="cost")
    routes = shortest_paths(Graph(graph), "a")
    assert {site: route.cost for site, route in routes.items()} == costs
    for site, route in routes.items():
        paths = [["a"]]
        if site != "a":
            paths = list(nx.all_shortest_paths(reference, "a", site, weight="cost"))
        best = min(paths, key=lambda path: (len(path), path))
        assert list(route.path) == best
        assert route.hops == len(best) - 1
        assert list(route.next_hops) == sorted({path[1] for path in paths if len(path) > 1})


@given(graphs)
def test_hop_by_hop_forwarding_never_loops(graph):
    tables = {site: shortest_paths(Graph(graph), site) for site in NAMES}
    for table in tables.values():
        for destination, route in table.items():
            for hop in route.next_hops:
                assert tables[hop][destination].cost < route.cost


@given(graphs, st.randoms(use_true_random=False))
def test_routes_do_not_depend_on_the_order_of_what_was_learned(graph, rng):
    items = [(site, list(links.items())) for site, links in graph.items()]
    rng.shuffle(items)
    for _, links in items:
        rng.shuffle(links)
    shuffled = {site: dict(links) for site, links in items}
    assert shortest_paths(Graph(shuffled), "a") == shortest_paths(Graph(graph), "a")


def test_one_way_link_is_not_used():
    graph = {"a": {"b": 1, "c": 9}, "b": {"c": 1}, "c": {"a": 9, "b": 1}}
    routes = shortest_paths(Graph(graph), "a")
    assert routes["c"].path == ("a", "c")
    assert routes["b"].path == ("a", "c", "b")


def test_cost_of_a_link_is_that_of_the_end_one_leaves():
    graph = {"a": {"b": 1}, "b": {"a": 7}}
    assert shortest_paths(Graph(graph), "a")["b"].cost == 1
    assert shortest_paths(Graph(graph), "b")["a"].cost == 7


def test_all_equal_cost_next_hops_are_kept_in_order():
    square = {"a": {"c": 1, "b": 1}, "b": {"a": 1, "d": 1}, "c": {"a": 1, "d": 1}}
    square["d"] = {"b": 1, "c": 1}
    route = shortest_paths(Graph(square), "a")["d"]
    assert route.next_hops == ("b", "c")
    assert route.path == ("a", "b", "d")


@pytest.mark.parametrize("graph", [{}, {"a": {}}, {"b": {"a": 1}}])
def test_site_without_links_reaches_itself_alone(graph):
    routes = shortest_paths(Graph(graph), "a")
    assert routes.keys() == {"a"}
    assert routes["a"].next_hops == ()
    assert routes["a"].path == ("a",)
