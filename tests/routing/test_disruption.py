"""Networks that part, sleep, jump in time, and flap."""

import pytest

from lab.routing.invariants import check_all, check_forgotten
from lab.routing.shapes import SHAPES, connected_graph
from lab.routing.simulation import Network, service
from van.routing.adjacency.damping import SUPPRESS_ABOVE
from van.routing.schedule.timers import Timers


def settled(shape: str, seed: int = 1, **options) -> Network:
    network = Network(seed, **options)
    network.add_graph(SHAPES[shape])
    network.settle()
    return network


@pytest.mark.parametrize("is_silent", [False, True], ids=["closed", "silent"])
@pytest.mark.parametrize("shape", ["grid", "clusters"])
def test_parted_groups_go_on_apart_and_meet_again(shape, is_silent):
    network = settled(shape)
    group = {f"s{number}" for number in range(12)}
    network.partition(group, is_silent=is_silent)
    network.settle()
    check_all(network)
    inside, outside = "s3", "s20"
    assert outside not in network.engine(inside).fib.routes
    network.set_services(inside, [service("db:5432")])
    network.set_services(outside, [service("db:5432")])
    network.settle()
    assert network.engine("s0").fib.services == {("tcp", "db:5432"): (inside,)}
    network.heal_all()
    network.settle()
    check_all(network)
    assert network.engine("s0").fib.services == {("tcp", "db:5432"): (outside, inside)}


def test_clusters_hold_on_to_each_other_by_the_second_link():
    network = settled("clusters")
    network.cut("s0", "s12")
    network.settle()
    check_all(network)
    assert "s20" in network.engine("s5").fib.routes
    network.cut("s1", "s13")
    network.settle()
    check_all(network)
    assert "s20" not in network.engine("s5").fib.routes


@pytest.mark.parametrize("seconds", [0.5, 2.0, 60.0, 300.0])
def test_clock_that_jumps_ahead_costs_no_link(seconds):
    network = settled("grid")
    before = network.fib_changes.copy()
    network.jump("s14", seconds)
    network.settle()
    assert network.silences == []
    assert network.fib_changes == before
    check_all(network)


def test_clock_that_jumps_beyond_all_lifetimes_is_caught_up_with():
    network = settled("ring")
    network.jump("s3", network.timers.lifetime + 100.0)
    network.run(60.0)
    check_all(network)


@pytest.mark.parametrize("clock_stood", [False, True], ids=["clock went on", "clock stood"])
def test_laptop_that_slept_is_part_of_the_network_again(clock_stood):
    network = settled("ring")
    network.stop("s14")
    network.set_services("s0", [service("new:1")])
    network.run(120.0)
    others = [site.engine for name, site in network.sites.items() if name != "s14"]
    assert all("s14" not in engine.fib.routes for engine in others)
    network.resume("s14", clock_stood=clock_stood)
    network.settle()
    check_all(network)
    assert ("tcp", "new:1") in network.engine("s14").fib.services


def test_flapping_link_shakes_the_network_a_few_times_and_is_used_again_in_the_end():
    network = settled("grid")
    network.fib_changes.clear()
    network.flap("s14", "s15", times=40, interval=0.1)
    losses_before_damping = SUPPRESS_ABOVE + 1
    assert max(network.fib_changes.values()) <= 2 * losses_before_damping + 2
    network.settle()
    assert network.link("s14", "s15").is_up()
    check_all(network)


def test_nothing_speaks_of_a_site_that_is_long_gone():
    network = Network(1, timers=Timers(heartbeat_interval=20.0))
    network.add_graph(SHAPES["ring"])
    network.add_site("passenger")
    network.add_link("passenger", "s0")
    network.set_services("passenger", [service("passing:1")])
    network.settle()
    with pytest.raises(AssertionError):
        check_forgotten(network, "passenger")
    network.crash("passenger")
    network.run(network.timers.lifetime + network.timers.refresh_interval + 60.0)
    check_all(network)
    check_forgotten(network, "passenger")


@pytest.mark.slow("eighty sites, and one fault after the other")
def test_network_of_eighty_is_right_after_all_that():
    network = Network(1, is_fast=True, timers=Timers(heartbeat_interval=2.0))
    network.add_graph(connected_graph(80, 4, seed=7))
    network.settle()
    check_all(network)
    rng = network.rng
    for link in rng.sample(list(network.links.values()), 10):
        network.cut(*link.ends)
    for name in rng.sample(list(network.sites), 5):
        network.crash(name)
    for name in rng.sample([name for name in network.sites if network.sites[name].is_running], 5):
        network.jump(name, 30.0)
    network.settle()
    check_all(network)
    assert network.silences == []
