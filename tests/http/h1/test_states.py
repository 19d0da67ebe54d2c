"""The table of a connection's states: total, reachable, and with an end."""

import pytest

from van.http.h1.states import TRANSITIONS, Event, State, following


@pytest.mark.parametrize("event", Event)
def test_every_event_is_decided_in_every_state(event):
    column = following(event)
    for state in State:
        assert column.get(state) is TRANSITIONS[state][event]


def test_the_table_has_no_more_than_that():
    assert len(TRANSITIONS) == len(State)
    assert {len(row) for row in TRANSITIONS} == {len(Event)}


def test_every_state_is_reached_from_idle():
    found = pending = {State.IDLE}
    while pending:
        pending = {after for state in pending for after in TRANSITIONS[state] if after} - found
        found = found | pending
    assert found | {State.IDLE} == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_left_by_closing_only_once_and_for_all(state):
    assert following(Event.CLOSE)[state] is State.CLOSED
    if state is State.CLOSED:
        assert set(TRANSITIONS[state]) == {None, State.CLOSED}
