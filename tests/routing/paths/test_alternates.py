"""A path found before it is needed: it must not come back, and must be there when it is."""

from hypothesis import given
from hypothesis import strategies as st

from lab.routing.conversation import Conversation, of_type
from van.routing.actions import FibChanged
from van.routing.paths.alternates import Alternates
from van.routing.paths.spf import Graph, shortest_paths

NAMES = "abcdefg"
sites = st.sampled_from(NAMES)
links = st.dictionaries(sites, st.dictionaries(sites, st.integers(1, 4)), min_size=1)


def found(graph: Graph, site: str) -> Alternates:
    alternates = Alternates(site)
    alternates.begin(graph, shortest_paths(graph, site))
    while not alternates.is_done:
        alternates.step()
    alternates.step()
    return alternates


@given(links, st.frozensets(sites, max_size=2))
def test_what_an_alternate_forwards_never_comes_back(links, no_transit):
    graph = Graph(
        {site: {n: c for n, c in to.items() if n != site} for site, to in links.items()}, no_transit
    )
    alternates = found(graph, "a")
    routes = shortest_paths(graph, "a")
    tables = {site: shortest_paths(graph, site) for site in NAMES}
    for lost in {hop for route in routes.values() for hop in route.next_hops}:
        for site, route in alternates.without(routes, lost).items():
            if site == "a":
                continue
            assert lost not in route.next_hops
            for hop in route.next_hops:
                # Whichever of its best paths the neighbour takes, we are on none of them.
                at, seen = {hop}, set()
                while at:
                    here = at.pop()
                    assert here != "a"
                    if here != site and here not in seen:
                        seen.add(here)
                        at.update(tables[here][site].next_hops)


def test_next_hops_of_equal_cost_go_on():
    square = Graph(
        {"a": {"b": 1, "c": 1}, "b": {"a": 1, "d": 1}, "c": {"a": 1, "d": 1}, "d": {"b": 1, "c": 1}}
    )
    routes = found(square, "a").without(shortest_paths(square, "a"), "b")
    assert routes["d"].next_hops == ("c",)


def test_alternate_that_avoids_the_lost_site_comes_before_a_cheaper_one():
    graph = Graph(
        {
            "us": {"b": 1, "near": 1, "far": 3},
            "b": {"us": 1, "goal": 1, "near": 1},
            "near": {"us": 1, "b": 1},
            "far": {"us": 3, "goal": 2},
            "goal": {"b": 1, "far": 2},
        }
    )
    alternates = found(graph, "us")
    routes = alternates.without(shortest_paths(graph, "us"), "b")
    assert routes["goal"].path == ("us", "far", "goal")
    assert alternates.second_hop("goal") == "far"


def test_ring_has_no_alternate_for_the_far_side_of_a_neighbor():
    graph = Graph({"a": {"b": 1, "c": 1}, "b": {"a": 1, "c": 9}, "c": {"a": 1, "b": 9}})
    assert "b" not in found(graph, "a").without(shortest_paths(graph, "a"), "b")


def triangle() -> Conversation:
    """Return us with b and c, who are neighbours too, at rest and with alternates found."""
    talk = Conversation()
    b, c = talk.author("b"), talk.author("c")
    talk.open("b", "c", hold_time=1000.0)
    talk.receive("b", b.identity(), b.adjacencies({"us": 1, "c": 1}))
    talk.receive("c", c.identity(), c.adjacencies({"us": 1, "b": 1}))
    talk.wait(5.0)
    talk.actions()
    return talk


def test_second_hop_is_known_before_a_link_is_lost():
    talk = triangle()
    assert talk.engine.fib.next_hop("b") == "b"
    assert talk.engine.second_hop("b") == "c"
    assert talk.engine.second_hop("us") is None
    assert talk.engine.second_hop("nobody") is None


def test_lost_neighbor_is_worked_round_in_the_same_call_however_busy_routing_is():
    talk = triangle()
    for cost in range(2, 30):  # a storm that puts computations off
        talk.engine.set_link_cost("c", cost % 3 + 1, now=talk.now)
        talk.wait(0.05)
    talk.wait(0.3)
    talk.engine.set_link_cost("c", 1, now=talk.now)
    talk.actions()
    talk.engine.link_closed("b", now=talk.now)
    (change,) = of_type(talk.actions(), FibChanged)
    assert change.fib.next_hop("b") == "c"


def test_alternate_that_was_lost_itself_takes_nothing_over():
    talk = Conversation()
    links = {"b": {"d": 1}, "c": {"d": 3, "e": 1}, "e": {"c": 1}, "d": {"b": 1, "c": 3}}
    authors = {name: talk.author(name) for name in links}
    talk.open("b", "c", "e", hold_time=1000.0)
    for name in "bce":
        talk.engine.set_link_cost(name, 1 if name == "b" else 2, now=talk.now)
        links[name]["us"] = 5
    talk.receive("b", *(author.identity() for author in authors.values()))
    talk.receive("b", *(author.adjacencies(links[name]) for name, author in authors.items()))
    talk.wait(5.0)
    for cost in range(30):  # a storm that puts computations off
        talk.engine.set_link_cost("e", 3 - cost % 2, now=talk.now)
        talk.wait(0.05)
    talk.wait(1.0)
    assert talk.engine.fib.next_hop("d") == "b"
    assert talk.engine.second_hop("d") == "c"
    talk.engine.link_closed("c", now=talk.now)
    assert talk.engine.fib.next_hop("c") == "e"
    assert talk.engine.second_hop("d") != "c"
    talk.engine.link_closed("b", now=talk.now)
    for site, route in talk.engine.fib.routes.items():
        assert site == "us" or route.next_hops == ("e",)


def test_site_that_has_no_alternate_waits_for_no_back_off():
    talk = Conversation()
    b, c = talk.author("b"), talk.author("c")
    talk.open("b", "c", hold_time=1000.0)
    talk.receive("b", b.identity(), b.adjacencies({"us": 1, "c": 9}))
    talk.receive("c", c.identity(), c.adjacencies({"us": 1, "b": 9}))
    talk.wait(5.0)
    assert talk.engine.second_hop("b") is None  # the best path of c leads back through us
    for cost in range(30):  # a storm that puts computations off
        talk.engine.set_link_cost("c", cost % 3 + 1, now=talk.now)
        talk.wait(0.05)
    talk.wait(1.0)
    talk.engine.link_closed("b", now=talk.now)
    assert talk.engine.fib.routes["b"].path == ("us", "c", "b")
