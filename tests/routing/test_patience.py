"""A neighbour that was late is waited for longer, but not much, and not for long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.routing.conversation import Conversation, of_type
from van.routing.actions import NeighborSilent
from van.routing.adjacency.neighbor import GAP_HALF_LIFE, MAX_PATIENCE, USUAL_GAP, Neighbor

HOLD, INTERVAL = 1.05, 0.3


def neighbor() -> Neighbor:
    return Neighbor(
        name="b", cost_setting=1, hold_time=HOLD, heartbeat_interval=INTERVAL, since=100.0
    )


@given(st.lists(st.floats(0.0, 1e6), max_size=20))
def test_wait_is_never_shorter_than_the_hold_time_nor_longer_than_its_bound(gaps):
    peer, now = neighbor(), 100.0
    for gap in gaps:
        now += gap
        peer.heard(now)
        assert peer.silent_at() - now >= HOLD - 1e-6
        assert peer.silent_at() - now <= HOLD * (1 + MAX_PATIENCE) + 1e-6


@given(st.lists(st.floats(0.0, USUAL_GAP * INTERVAL), max_size=20))
def test_neighbor_that_is_on_time_is_found_out_in_the_hold_time(gaps):
    peer, now = neighbor(), 100.0
    for gap in gaps:
        now += gap
        peer.heard(now)
    assert peer.hold_now() == pytest.approx(HOLD)


@given(st.floats(USUAL_GAP * INTERVAL, HOLD))
def test_neighbor_that_was_late_may_be_later_by_as_much(gap):
    peer = neighbor()
    peer.heard(100.0 + gap)
    assert peer.hold_now() == pytest.approx(HOLD + gap - USUAL_GAP * INTERVAL)


@pytest.mark.parametrize("gap", [1.0, 1e5])
def test_lateness_is_forgotten_by_half_in_each_half_life_however_long_it_was(gap):
    peer = neighbor()
    peer.heard(100.0 + gap)
    first = peer.hold_now() - HOLD
    until = 100.0 + gap + GAP_HALF_LIFE
    while peer.last_heard < until:
        peer.heard(min(until, peer.last_heard + INTERVAL))
    assert peer.hold_now() - HOLD == pytest.approx(first / 2)


def test_other_pace_has_another_bound():
    peer = neighbor()
    peer.heard(1000.0)
    peer.pace(0.35, 0.1)
    assert peer.hold_now() == pytest.approx(0.35 * (1 + MAX_PATIENCE))


def silence_after(gaps: list[float]) -> float:
    """Return after what silence a neighbour is given up that was heard at some intervals."""
    talk = Conversation()
    talk.open("b", hold_time=HOLD)
    for gap in gaps:
        talk.wait(gap)
        talk.engine.heard("b", now=talk.now)
    assert not of_type(talk.actions(), NeighborSilent)
    talk.wait(10.0)
    (silent,) = of_type(talk.actions(), NeighborSilent)
    return silent.silence


def test_busy_neighbor_is_not_cut_off_for_being_a_little_later_than_last_time():
    assert silence_after([0.3, 0.3, 0.3]) == pytest.approx(HOLD)
    assert silence_after([0.3, 0.9, 1.4]) == pytest.approx(HOLD + 1.4 - USUAL_GAP * INTERVAL)
