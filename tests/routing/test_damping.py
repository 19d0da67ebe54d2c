import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.conversation import Conversation, lsas, of_type
from van.routing.actions import LinkDamped, LinkReleased
from van.routing.damping import HALF_LIFE, MAX_PENALTY, REUSE_BELOW, Penalty

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


def flap(talk: Conversation, times: int) -> None:
    for _ in range(times):
        talk.engine.link_closed("b", now=talk.now)
        talk.wait(0.05)
        talk.open("b")


def test_damped_link_is_not_advertised_until_it_is_stable():
    talk = Conversation()
    talk.open("b", "c", hold_time=1000.0)
    flap(talk, 8)
    talk.actions()
    assert "b" not in talk.engine.fib.sites["us"]
    (status,) = [each for each in talk.engine.neighbors() if each.neighbor == "b"]
    assert status.damped_until == pytest.approx(talk.now + HALF_LIFE, abs=HALF_LIFE)
    flap(talk, 50)
    assert lsas(talk.actions(), "c") == []  # the others hear nothing of it
    talk.engine.heard("b", now=talk.now)
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
