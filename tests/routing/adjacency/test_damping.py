import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.routing.conversation import Conversation, lsas, of_type
from lab.routing.invariants import check_all, reachable_text
from lab.routing.simulation import Network
from van.routing.actions import Action, LinkDamped, LinkReleased
from van.routing.adjacency.damping import (
    HALF_LIFE,
    MAX_PENALTY,
    REUSE_BELOW,
    SUPPRESS_ABOVE,
    Penalty,
)
from van.routing.schedule.timers import Timers

LONGEST = 15.0
"""Seconds after which any link is used again: three half-lives."""


@given(st.floats(2.0, 60.0))
def test_link_lost_no_more_often_than_every_two_seconds_is_never_damped(interval):
    penalty = Penalty()
    for turn in range(100):
        assert not penalty.lost(turn * interval)


@given(st.floats(0.001, 1.0))
def test_link_that_flaps_is_damped_within_ten_losses(interval):
    penalty = Penalty()
    assert any(penalty.lost(turn * interval) for turn in range(10))


@given(st.integers(5, 1000))
def test_damped_link_is_used_again_when_it_says_so_and_not_before(losses):
    penalty = Penalty()
    for turn in range(losses):
        penalty.lost(turn * 0.1)
    now = losses * 0.1
    wait = penalty.reuse_in(now)
    assert 0 < wait <= LONGEST
    assert not penalty.release(now + wait - 0.1)
    assert penalty.release(now + wait)
    assert not penalty.is_suppressed


def test_penalty_has_a_ceiling():
    assert MAX_PENALTY / REUSE_BELOW == 2 ** (LONGEST / HALF_LIFE)


def test_past_is_forgotten():
    penalty = Penalty()
    penalty.lost(0.0)
    assert not penalty.is_forgotten(1.0)
    assert penalty.is_forgotten(60.0)


def flap(talk: Conversation, times: int) -> list[Action]:
    """Lose a link over and over, until it is up; return all that comes of it."""
    found = []
    for _ in range(times):
        talk.engine.link_closed("b", now=talk.now)
        talk.wait(0.05)
        found += [*talk.actions(), *talk.open("b")]
    return found


def test_damped_link_is_not_advertised_until_it_is_stable():
    talk = Conversation()
    talk.open("b", "c", hold_time=1000.0)
    assert lsas(flap(talk, 8), "c")
    talk.wait(0.5)
    assert "b" not in talk.engine.fib.sites["us"]
    (status,) = [each for each in talk.engine.neighbors() if each.neighbor == "b"]
    assert status.damped_until == pytest.approx(talk.now + HALF_LIFE, abs=HALF_LIFE)
    talk.actions()
    assert lsas(flap(talk, 50), "c") == []  # the others hear nothing of it
    talk.engine.set_link_pace("b", hold_time=1000.0, heartbeat_interval=0.3, now=talk.now)
    talk.wait(LONGEST + 1.0)
    assert [each.neighbor for each in of_type(talk.actions(), LinkReleased)] == ["b"]
    assert "b" in talk.engine.fib.sites["us"]


def test_damping_is_told_once():
    talk = Conversation()
    talk.open("b")
    damped = []
    for _ in range(20):
        talk.engine.link_closed("b", now=talk.now)
        damped += of_type(talk.actions(), LinkDamped)
        talk.open("b")
    assert len(damped) == 1
    assert damped[0].seconds == pytest.approx(HALF_LIFE, abs=2.0)


@given(st.floats(0.0, 1e9), st.integers(5, 100))
def test_damped_link_is_used_again_however_long_the_machine_has_been_up(uptime, losses):
    penalty, now = Penalty(), uptime
    for turn in range(losses):
        now = uptime + turn * 0.1
        penalty.lost(now)
    assert penalty.release(now + penalty.reuse_in(now))


def test_neighbor_that_flapped_and_never_came_back_is_forgotten():
    talk = Conversation()
    talk.open("b")
    flap(talk, 8)
    talk.engine.link_closed("b", now=talk.now)
    talk.wait(120.0)
    assert b"b" not in list(reachable_text(talk.engine))


def test_damped_link_that_is_up_is_used_again_though_we_were_asleep_meanwhile():
    talk = Conversation()
    talk.open("b", hold_time=1000.0)
    talk.wait(Timers().sweep_interval - 5.0)  # so that penalties are swept up first
    flap(talk, 8)
    talk.now += 300.0
    talk.engine.handle_timer(now=talk.now)
    assert [each.neighbor for each in of_type(talk.actions(), LinkReleased)] == ["b"]
    assert talk.engine.neighbors()[0].damped_until is None


def test_link_that_flaps_for_a_minute_costs_the_network_a_few_advertisements():
    network = Network(1)
    network.add_graph(nx.cycle_graph(6))
    network.settle()
    network.traffic.reset()
    for _ in range(120):
        network.flap("s0", "s1", times=5, interval=0.1)
    far = [link for link in network.links if not link & {"s0", "s1"}]
    losses_before_damping = SUPPRESS_ABOVE + 1
    # Both ends tell of each loss and each return; round trips may be told besides.
    assert max(network.traffic.lsas[link] for link in far) <= 2 * (2 * losses_before_damping + 4)
    assert "s1" not in network.engine("s0").fib.sites["s0"]
    network.settle()
    assert "s1" in network.engine("s0").fib.sites["s0"]
    check_all(network)
