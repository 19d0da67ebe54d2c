"""Alarms by a wall clock that is set, and that goes on while the machine sleeps."""

from datetime import UTC, datetime, timedelta

import attrs
import trio

from van.router.site.alarms import LOOK_INTERVAL, WallAlarms

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@attrs.define
class Clock:
    now: datetime = NOON

    def clock(self):
        return self.now


def alarms_and_what_rang():
    clock, rang = Clock(), []
    alarms = WallAlarms(clock)

    def set_alarm(name, hours):
        alarms.set(name, NOON + timedelta(hours=hours), lambda: rang.append((name, hours)))

    def pass_hours(hours):
        clock.now += timedelta(hours=hours)
        alarms.ring_due()
        heard = rang.copy()
        rang.clear()
        return heard

    return alarms, set_alarm, pass_hours


def test_what_is_due_rings_once_in_order():
    _, set_alarm, pass_hours = alarms_and_what_rang()
    for hours in (3, 1, 2):
        set_alarm(f"at {hours}", hours)
    assert pass_hours(1) == []
    assert pass_hours(1.5) == [("at 1", 1), ("at 2", 2)]
    assert pass_hours(-2.5) == []
    assert pass_hours(100) == [("at 3", 3)]
    assert pass_hours(100) == []


def test_an_alarm_that_is_set_anew_or_cancelled_does_not_ring_at_its_old_time():
    alarms, set_alarm, pass_hours = alarms_and_what_rang()
    for hours in (1, 5, 2):
        set_alarm("moved", hours)
    set_alarm("cancelled", 1)
    alarms.cancel("cancelled")
    assert pass_hours(1.5) == []
    assert pass_hours(10) == [("moved", 2)]


def test_what_rings_may_set_the_next_one():
    alarms, set_alarm, pass_hours = alarms_and_what_rang()
    alarms.set("first", NOON, lambda: set_alarm("next", 2))
    assert pass_hours(1) == []
    assert pass_hours(2) == [("next", 2)]


def test_alarms_that_are_moved_a_thousand_times_take_no_room():
    alarms, set_alarm, pass_hours = alarms_and_what_rang()
    for hours in range(1000):
        set_alarm("moved", hours)
        set_alarm("other", 2000)
    assert len(alarms._due) < 16
    assert pass_hours(3000) == [("moved", 999), ("other", 2000)]


async def test_a_sleep_is_noticed_at_the_next_look(autojump_clock):
    clock, rang = Clock(), []
    alarms = WallAlarms(clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alarms.run)
        alarms.set("renew", NOON + timedelta(days=3), lambda: rang.append("renew"))
        await trio.sleep(100)
        assert not rang
        clock.now += timedelta(days=4)
        await trio.sleep(1.5 * LOOK_INTERVAL)
        assert rang == ["renew"]
        nursery.cancel_scope.cancel()
