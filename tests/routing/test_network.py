"""Networks of many engines: shapes, and all that may befall them."""

import networkx as nx
import pytest

from lab.routing.invariants import check_all
from lab.routing.shapes import SHAPES, random_graph
from lab.routing.simulation import Network, service
from van.routing.schedule.timers import Timers
from van.wire.lsa import LsaKind

SLOW = Timers(heartbeat_interval=2.0)
"""For large networks, and for long times."""


def settled(shape: str | nx.Graph, seed: int = 1, timers: Timers | None = None) -> Network:
    network = Network(seed, timers=timers)
    network.add_graph(SHAPES[shape] if isinstance(shape, str) else shape)
    network.settle()
    return network


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_converges(shape):
    network = settled(shape)
    for number, site in enumerate(network.sites):
        if number % 3 == 0:
            network.set_services(site, [service("db:5432"), service(f"{site}:80")])
    network.settle()
    check_all(network)
    assert network.dropped == []
    assert network.silences == []


@pytest.mark.slow("a hundred sites")
def test_hundred_sites_converge():
    network = settled(random_graph(100, 150, seed=5), timers=SLOW)
    check_all(network)


@pytest.mark.parametrize("shape", ["ring", "grid", "mesh", "star", "random"])
def test_change_travels_each_link_at_most_once_in_each_direction(shape):
    network = settled(shape)
    links = len(network.links)
    network.traffic.reset()
    network.set_services("s0", [service("db:5432")])
    network.run(1.0)
    assert (
        len(network.sites) - 1 <= network.traffic.lsa_copies <= 2 * links - len(network.sites) + 1
    )


def test_quiet_network_sends_heartbeats_alone():
    network = settled("grid")
    network.traffic.reset()
    network.run(20.0)
    assert network.traffic.lsa_copies == 0


def test_burst_of_changes_is_batched():
    network = settled("line")
    before = network.traffic.messages.total()
    for number in range(100):
        network.set_services("s0", [service(f"a{number}:1")])
    network.run(0.15)
    heartbeats = 2 * len(network.links)
    assert network.traffic.messages.total() - before <= heartbeats + 3 * len(network.links)
    network.settle()
    check_all(network)


def test_one_link_event_runs_few_computations():
    network = settled("grid")
    network.fib_changes.clear()
    network.set_cost("s0", "s1", 5)
    network.run(2.0)
    assert max(network.fib_changes.values()) <= 1


@pytest.mark.parametrize("shape", ["ring", "grid", "mesh", "random"])
def test_cut_link_is_routed_around(shape):
    network = settled(shape)
    a, b = next(iter(network.links.values())).ends
    network.cut(a, b)
    network.settle()
    check_all(network)
    network.join(a, b)
    network.settle()
    check_all(network)


def test_failover_takes_a_path_s_delay_and_no_timer():
    network = settled("ring")
    network.cut("s0", "s1")
    network.run(15 * 0.022 + 0.1)
    check_all(network)


def test_halves_of_a_split_network_forget_and_find_each_other():
    network = settled("ring")
    network.set_services("s2", [service("db:5432")])
    network.settle()
    network.cut("s0", "s14")
    network.cut("s7", "s8")
    network.settle()
    check_all(network)
    assert network.engine("s10").fib.services == {}
    assert "s2" in network.engine("s10").fib.sites
    # Both sides change while they are apart.
    network.set_services("s2", [service("cache:1")])
    network.set_services("s10", [service("web:80")])
    network.settle()
    network.join("s0", "s14")
    network.settle()
    check_all(network)
    assert network.engine("s10").fib.services[("tcp", "cache:1")] == ("s2",)


def test_meeting_of_two_networks_sends_each_advertisement_once_over_the_link():
    network = Network(1)
    network.add_graph(nx.disjoint_union(nx.path_graph(10), nx.path_graph(10)))
    network.settle()
    network.traffic.reset()
    network.add_link("s9", "s10")
    network.run(1.0)
    # Thirty LSAs each way over ten links, and the new adjacencies of both ends everywhere.
    assert network.traffic.lsa_copies <= 2 * 30 * 10 + 4 * len(network.links)


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
def test_black_hole_is_noticed_by_silence(both):
    network = settled("ring")
    network.block("s0", "s1")
    if both:
        network.block("s1", "s0")
    network.settle()
    assert ("s1", "s0") in network.silences
    check_all(network)
    network.heal("s0", "s1")
    network.settle()
    assert network.link("s0", "s1").is_up()
    check_all(network)


def test_crashed_site_is_not_used_and_in_the_end_forgotten():
    network = settled("grid", timers=SLOW)
    network.set_services("s14", [service("db:5432")])
    network.settle()
    network.crash("s14")
    network.settle()
    check_all(network)
    assert network.engine("s0").fib.services == {}
    assert "s14" in network.engine("s0").fib.sites


def test_crashed_site_is_purged_when_its_lifetime_is_over():
    network = settled("pair", timers=Timers(heartbeat_interval=20.0))
    network.add_site("gone")
    network.add_link("s0", "gone")
    network.settle()
    network.crash("gone")
    network.run(700.0)
    assert "gone" in network.engine("s1").fib.sites
    network.run(210.0)
    assert "gone" not in network.engine("s1").fib.sites
    check_all(network)


def test_site_that_leaves_in_order_is_gone_at_once():
    network = settled("star")
    network.set_services("s5", [service("db:5432")])
    network.settle()
    network.leave("s5")
    network.run(0.2)
    check_all(network)
    assert network.engine("s7").fib.adjacencies["s5"] == ()


def test_restarted_site_speaks_with_a_new_incarnation():
    network = settled("grid")
    network.crash("s14")
    network.run(0.5)
    network.start("s14")
    network.settle()
    check_all(network)
    held = [entry for entry in network.engine("s0").held() if entry.origin == "s14"]
    assert [entry.incarnation for entry in held] == [2, 2, 2]


@pytest.mark.parametrize("graph", [nx.path_graph(3), nx.cycle_graph(4)], ids=["line", "ring"])
def test_what_a_site_served_before_it_was_killed_is_told_of_nowhere_once_it_is_back(graph):
    network = Network(1, delay=0.1)
    network.add_graph(graph)
    network.set_services("s0", [service("old:1"), service("both:1")])
    network.settle()
    network.crash("s0")
    network.set_services("s0", [service("both:1")])
    network.settle()
    others = [network.engine(name) for name in network.sites if name != "s0"]
    assert not any(engine.fib.services for engine in others)
    told = []
    network.fib_watchers.append(lambda _, fib: told.append(("tcp", "old:1") in fib.services))
    network.start("s0")
    network.settle()
    check_all(network)
    assert told
    assert not any(told)
    assert all(engine.fib.services == {("tcp", "both:1"): ("s0",)} for engine in others)


def test_restart_within_a_moment_is_seen_through():
    network = settled("mesh")
    network.crash("s3")
    network.start("s3")
    network.settle()
    check_all(network)


@pytest.mark.parametrize("new_key", [False, True], ids=["same key", "set up anew"])
def test_site_that_lost_its_state_is_believed_again(new_key):
    network = settled("grid")
    for _ in range(3):
        network.crash("s14")
        network.start("s14")
        network.settle()
    network.set_services("s14", [service("old:1")])
    network.settle()
    network.crash("s14")
    network.set_services("s14", [service("new:1")])
    network.start("s14", lost_state=True, new_key=new_key)
    network.settle()
    check_all(network)
    # What another key has said in its name is nothing to it.
    assert (network.sites["s14"].incarnation > 4) is not new_key
    assert network.engine("s0").fib.services == {("tcp", "new:1"): ("s14",)}


@pytest.mark.parametrize("new_key", [False, True], ids=["same key", "set up anew"])
def test_site_that_lost_its_state_is_believed_whatever_its_numbers_are(new_key):
    for seed in range(24):
        network = settled("pair", seed)
        network.crash("s0")
        network.start("s0", lost_state=True, new_key=new_key)
        network.settle()
        check_all(network)


def test_stopped_and_resumed_process_keeps_its_links_if_its_peers_do():
    network = settled("pair")
    before = network.fib_changes.copy()
    network.stop("s0")
    network.run(0.9)
    network.resume("s0")
    network.settle()
    assert network.silences == []
    assert network.fib_changes == before
    check_all(network)


def test_site_stopped_for_long_is_routed_around_and_comes_back():
    network = settled("ring")
    network.stop("s3")
    network.run(20.0)
    assert ("s2", "s3") in network.silences
    assert "s3" not in network.engine("s0").fib.routes
    assert network.engine("s0").fib.routes["s4"].path[1] == "s14"
    network.resume("s3")
    network.settle()
    check_all(network)
    assert "s3" in network.engine("s0").fib.routes


def test_costs_may_differ_by_direction():
    network = Network(1)
    for name in "abc":
        network.add_site(name)
    network.add_link("a", "b", cost=1, cost_back=10)
    network.add_link("b", "c", cost=1, cost_back=10)
    network.add_link("c", "a", cost=1, cost_back=10)
    network.settle()
    check_all(network)
    assert network.engine("a").fib.routes["c"].path == ("a", "b", "c")
    assert network.engine("c").fib.routes["a"].path == ("c", "a")


def test_refresh_keeps_a_network_alive_and_its_tables_still():
    network = settled("ring", timers=Timers(heartbeat_interval=30.0))
    network.run(50.0)
    network.fib_changes.clear()
    network.run(2000.0)
    assert not network.fib_changes
    check_all(network)
    sequences = [entry.sequence for entry in network.engine("s0").held()]
    assert len(sequences) == 3 * 15


def test_runs_of_one_seed_are_the_same():
    first, second = (settled("random", seed=9) for _ in range(2))
    assert first.traffic == second.traffic
    assert [s.engine.held() for s in first.sites.values()] == [
        s.engine.held() for s in second.sites.values()
    ]


def test_services_of_a_site_that_may_not_are_seen_nowhere():
    network = settled("line")
    network.add_site("guest", expose=["web"])
    network.add_link("guest", "s0")
    network.set_services("guest", [service("db:5432")])
    network.settle()
    for name in ("s0", "s19"):
        assert network.engine(name).fib.services == {}
        assert network.engine(name).dropped["not-allowed"] >= 1
    held = [entry.kind for entry in network.engine("s19").held() if entry.origin == "guest"]
    assert held == list(LsaKind)
