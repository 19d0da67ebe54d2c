"""Who can't do without a site is known before it is drained."""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.paths.test_spf import NAMES, graphs, sites
from van.routing.paths.detachment import sites_cut_off
from van.routing.paths.spf import Graph, shortest_paths


@given(graphs, st.frozensets(sites.filter(lambda site: site != "a")))
def test_a_site_is_cut_off_if_and_only_if_a_neighbour_loses_its_route(links, no_transit):
    graph = Graph(links, no_transit)
    without = attrs.evolve(graph, no_transit=no_transit | {"a"})
    neighbors = [name for name in NAMES if name != "a" and graph.is_two_way("a", name)]
    lost = [
        shortest_paths(graph, neighbor).keys() - shortest_paths(without, neighbor).keys()
        for neighbor in neighbors
    ]
    assert sites_cut_off(graph, "a") == sorted(set().union(*lost))


def test_both_sides_of_a_bridge_need_it():
    line = {"a": {"b": 1}, "b": {"a": 1, "c": 1}, "c": {"b": 1}}
    assert sites_cut_off(Graph(line), "b") == ["a", "c"]
    assert sites_cut_off(Graph(line), "a") == []


def test_a_way_round_through_a_site_that_declines_transit_is_none():
    ring = {"a": {"b": 1, "c": 1}, "b": {"a": 1, "d": 1}, "c": {"a": 1, "d": 1}}
    ring["d"] = {"b": 1, "c": 1}
    assert sites_cut_off(Graph(ring), "a") == []
    assert sites_cut_off(Graph(ring, frozenset({"d"})), "a") == ["b", "c"]
