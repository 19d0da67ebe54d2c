import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.routing.schedule.backoff import TRANSITIONS, Backoff, Delays, Event, State

DELAYS = Delays(initial=0.0, short=0.05, long=0.2, time_to_learn=0.5, hold_down=2.0)


@pytest.mark.parametrize("state", State)
def test_every_event_is_decided_in_every_state(state):
    assert TRANSITIONS[state].keys() == set(Event)


def test_first_change_after_a_quiet_time_acts_at_once():
    backoff = Backoff(DELAYS)
    assert not backoff.take(10.0)
    backoff.change(10.0)
    assert backoff.due_at() == 10.0
    assert backoff.take(10.0)
    assert not backoff.take(1e9)


def test_further_changes_of_one_failure_are_taken_together():
    backoff = Backoff(DELAYS)
    backoff.change(10.0)
    backoff.take(10.0)
    backoff.change(10.01)
    backoff.change(10.03)
    assert backoff.due_at() == pytest.approx(10.06)


def test_changes_that_go_on_make_computations_rare_until_it_is_calm():
    backoff = Backoff(DELAYS)
    for step in range(100):
        backoff.change(10.0 + step * 0.01)
        backoff.take(10.0 + step * 0.01)
    assert backoff.state is State.LONG_WAIT
    backoff.done()
    backoff.change(11.5)
    assert backoff.due_at() == pytest.approx(11.7)
    backoff.done()
    backoff.change(14.0)
    assert backoff.due_at() == 14.0


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=30))
def test_no_change_waits_longer_than_the_long_delay(gaps):
    backoff, now = Backoff(DELAYS), 0.0
    for gap in gaps:
        now += gap
        backoff.take(now)
        backoff.change(now)
        assert now <= backoff.due_at() <= now + DELAYS.long
