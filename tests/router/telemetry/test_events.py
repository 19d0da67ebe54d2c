"""The ring of events: numbered without a gap, bounded, and waited for."""

from datetime import UTC, datetime

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from van.router.telemetry.events import EventKind, EventLog

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_log(count=0, **options):
    log = EventLog(clock=lambda: NOON, **options)
    for number in range(count):
        log.record(EventKind.LINK_UP, "hub", str(number + 1))
    return log


def test_events_are_numbered_from_one():
    assert [each.number for each in make_log(3).after(0)] == [1, 2, 3]


def test_an_event_says_when_it_happened():
    assert make_log(1).after(0)[0].at == NOON


@given(st.integers(0, 12), st.integers(1, 5), st.integers(0, 20))
def test_what_is_kept_and_what_is_lost_is_all_there_was(recorded, size, after):
    log = make_log(recorded, size=size)
    kept = [each.number for each in log.after(after)]
    assert kept == list(range(max(after, recorded - size) + 1, recorded + 1))
    assert log.lost_after(after) == max(0, recorded - after - len(kept)) * (after < recorded)


def test_two_starts_are_told_apart():
    assert make_log().start_id != make_log().start_id


async def test_an_event_wakes_whoever_waits_for_it(autojump_clock):
    log = make_log(2)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.wait_after, 2, 20.0)
        nursery.start_soon(log.wait_after, 2, 20.0)
        await trio.sleep(3)
        log.record(EventKind.LINK_DOWN, "hub", "")
    assert trio.current_time() - began == pytest.approx(3)
    assert [each.kind for each in log.after(2)] == [EventKind.LINK_DOWN]


@pytest.mark.parametrize(("after", "waited"), [(1, 0.0), (2, 20.0), (9, 0.0)])
async def test_only_the_next_event_is_waited_for(autojump_clock, after, waited):
    log = make_log(2)
    began = trio.current_time()
    await log.wait_after(after, 20.0)
    assert trio.current_time() - began == pytest.approx(waited)
