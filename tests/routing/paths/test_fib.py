import math
from types import MappingProxyType

import attrs
import pytest

from van.routing.paths.fib import Fib, FibBuilder
from van.routing.paths.spf import Graph, shortest_paths
from van.wire.lsa import AddressesBody, AdjacenciesBody, Adjacency, Binding, Service

GRAPH = {"a": {"b": 2}, "b": {"a": 2}, "z": {"a": 1}}


def service(address: str, protocol: str = "tcp") -> Service:
    return Service(address=address, protocol=protocol)


def table(**addresses: AddressesBody) -> Fib:
    return FibBuilder("a").build(
        MappingProxyType(shortest_paths(Graph(GRAPH), "a")),
        {
            site: AdjacenciesBody(tuple(Adjacency(name, cost, 0) for name, cost in links.items()))
            for site, links in GRAPH.items()
        },
        addresses,
    )


def test_services_of_reachable_sites_alone_are_listed():
    body = AddressesBody((service("db:1"),), (Binding("web:2", "tcp"),))
    fib = table(z=body, b=body, a=body)
    assert fib.services == {("tcp", "db:1"): ("a", "b")}
    assert fib.listeners == {("tcp", "web:2"): ("a", "b")}


def test_protocols_of_one_address_are_told_apart():
    fib = table(b=AddressesBody((service("dns:53"), service("dns:53", "udp")), ()))
    assert set(fib.services) == {("tcp", "dns:53"), ("udp", "dns:53")}


def test_service_advertised_twice_by_a_site_counts_once():
    fib = table(b=AddressesBody((service("db:1"), service("db:1")), ()))
    assert fib.services[("tcp", "db:1")] == ("b",)


def test_unreachable_site_is_known_with_its_links():
    fib = table()
    assert "z" not in fib.routes
    assert fib.sites["z"] == ("a",)
    assert fib.adjacencies["z"] == (Adjacency("a", 1, 0),)


@pytest.mark.parametrize(("site", "next_hop"), [("b", "b"), ("a", None), ("z", None), ("?", None)])
def test_next_hop_is_a_neighbor_or_none(site, next_hop):
    assert table().next_hop(site) == next_hop


SQUARE = {
    "a": {"b": 1, "c": 10},
    "b": {"a": 2, "d": 1},
    "c": {"a": 10, "d": 10},
    "d": {"b": 1, "c": 10, "a": 1},
}
"""With a link that only one of its ends tells of."""


@pytest.mark.parametrize(
    ("path", "cost"),
    [("a", 0), ("ab", 1), ("abd", 2), ("acd", 20), ("ad", math.inf), ("dba", 3), ("abz", math.inf)],
)
def test_what_a_path_costs_is_the_sum_of_its_links(path, cost):
    assert square().cost_along(tuple(path)) == cost


def test_a_path_through_a_site_that_declines_transit_can_not_be_used():
    fib = square(declining="b")
    assert fib.cost_along(("a", "b", "d")) == math.inf
    assert fib.cost_along(("a", "b")) == 1


def square(declining=""):
    graph = Graph(SQUARE, frozenset(declining))
    bodies = {
        site: AdjacenciesBody(
            tuple(Adjacency(name, cost, 0) for name, cost in links.items()),
            is_transit=site != declining,
        )
        for site, links in SQUARE.items()
    }
    return FibBuilder("a").build(MappingProxyType(shortest_paths(graph, "a")), bodies, {})


def test_own_site_is_reached_at_no_cost():
    route = table().routes["a"]
    assert (route.cost, route.next_hops, route.hops) == (0, (), 0)


def test_table_can_not_be_changed():
    fib = table()
    for mapping in (fib.routes, fib.services, fib.listeners, fib.sites, fib.adjacencies):
        with pytest.raises(TypeError):
            mapping["x"] = ()  # type: ignore[index]


def test_tables_of_equal_content_are_equal():
    assert table() == table()
    assert table() != table(b=AddressesBody((service("db:1"),), ()))


def test_a_way_takes_what_its_links_measured_or_what_they_cost():
    fib = table(a=AddressesBody((), ()))
    assert fib.round_trip("a") == 0.0
    assert fib.round_trip("b") == pytest.approx(0.002)
    assert fib.round_trip("nowhere") == 0.0
    measured = attrs.evolve(fib, adjacencies={"a": (Adjacency("b", 2, 5000),)})
    assert measured.round_trip("b") == pytest.approx(0.005)
    quick = attrs.evolve(fib, adjacencies={"a": (Adjacency("b", 2, 10),)})
    assert quick.round_trip("b") == pytest.approx(0.001)  # its cost was set to one more
