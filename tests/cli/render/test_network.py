"""The map, as tables and as a graph."""

import re
import shutil
import subprocess

import pytest

from van.cli.render.graphviz import graph
from van.cli.render.layout import plain_text
from van.cli.render.network import links_section, sites_section
from van.cli.render.tables import BAD, WARN
from van.control.values.network import Network, NetworkLink, NetworkSite


def make_link(**changes):
    values = {
        "site": "hub",
        "neighbor": "west",
        "cost": 1,
        "cost_back": 1,
        "round_trip_ms": 0.5,
        "is_two_way": True,
    }
    return NetworkLink(**{**values, **changes})


ONE_WAY = {"cost": None, "cost_back": 4, "round_trip_ms": None, "is_two_way": False}


def make_site(**changes):
    values = {"site": "hub", "cost": None, "hops": None, "path": None, "is_transit": True}
    return NetworkSite(**{**values, **changes})


def make_network(**changes):
    values = {
        "source": "west",
        "sites": (
            make_site(site="hub", cost=1, hops=1, path=("west", "hub")),
            make_site(site="moon", is_transit=False),
            make_site(site="west", cost=0, hops=0, path=("west",)),
        ),
        "links": (make_link(), make_link(neighbor="moon", **ONE_WAY)),
    }
    return Network(**{**values, **changes})


def words(section):
    return [" ".join(line.split()) for line in plain_text([section]).splitlines()]


def test_each_site_is_shown_with_the_path_to_it():
    assert words(sites_section(make_network())) == [
        "Sites, as seen from west",
        "SITE COST HOPS PATH DETAIL",
        "hub 1 1 west > hub",
        "moon unreachable no transit",
        "west 0 0 (from here)",
    ]


def test_a_site_without_a_path_stands_out():
    assert sites_section(make_network()).rows[1][3].tone == BAD


def test_a_link_is_shown_with_what_differs_by_direction():
    shown = words(links_section((make_link(), make_link(cost=2, cost_back=3, round_trip_ms=None))))
    assert shown[1:] == [
        "SITE NEIGHBOUR COST COST BACK RTT",
        "hub west 1 0.50 ms",
        "hub west 2 3",
    ]


@pytest.mark.parametrize(
    ("costs", "silent"), [((None, 4), "hub"), ((4, None), "moon")], ids=["there", "back"]
)
def test_a_link_that_one_end_advertises_says_which_does_not(costs, silent):
    link = make_link(neighbor="moon", **{**ONE_WAY, "cost": costs[0], "cost_back": costs[1]})
    cell = links_section((link,)).rows[0][-1]
    assert cell.text == f"one-way, so not used: {silent} does not advertise it"
    assert cell.tone == WARN


def test_the_graph_has_a_node_for_each_site_and_an_edge_for_each_link():
    assert graph(make_network()).splitlines() == [
        "digraph van {",
        "  node [shape=box];",
        '  "hub";',
        '  "moon" [style="dashed", shape="ellipse"];',
        '  "west" [peripheries="2"];',
        '  "hub" -> "west" [label="1\\n0.50 ms", dir="none", style="bold"];',
        '  "moon" -> "hub" [label="4", style="dashed"];',
        "}",
    ]


def test_costs_that_differ_by_direction_are_both_on_the_edge():
    drawn = graph(make_network(links=(make_link(cost=2, cost_back=3),)))
    assert '[label="2 / 3\\n0.50 ms", dir="both", style="bold"]' in drawn


def test_names_are_quoted_whatever_they_hold():
    odd = make_site(site='a"] ; b\\')
    drawn = graph(make_network(sites=(odd,), links=()))
    assert re.search(r'^  "a\\"\] ; b\\\\" \[', drawn, re.MULTILINE)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed here")
def test_graphviz_takes_the_graph():
    odd = make_site(site='a"] ; b\\')
    network = make_network()
    drawn = graph(make_network(sites=(*network.sites, odd)))
    done = subprocess.run(
        ["dot", "-Tplain"], input=drawn, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kinds = [line.split()[0] for line in done.stdout.splitlines()]
    assert (kinds.count("node"), kinds.count("edge")) == (4, 2)
