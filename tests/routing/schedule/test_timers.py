import math

from hypothesis import given
from hypothesis import strategies as st

from van.routing.schedule.timers import AlarmQueue, Pacer, Timers


def test_first_request_happens_at_once():
    pacer = Pacer(5.0)
    assert pacer.due_at() == math.inf
    pacer.request()
    assert pacer.take(0.0)
    assert not pacer.take(100.0)


def test_later_requests_wait_for_the_interval():
    pacer = Pacer(5.0)
    pacer.request()
    assert pacer.take(10.0)
    pacer.request()
    assert not pacer.take(14.9)
    assert pacer.due_at() == 15.0
    assert pacer.take(15.0)


def test_forced_request_does_not_wait():
    pacer = Pacer(5.0)
    pacer.request()
    assert pacer.take(10.0)
    pacer.force()
    assert pacer.take(10.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 20))))
def test_alarms_ring_once_in_order_at_the_time_last_set(settings):
    queue: AlarmQueue[str] = AlarmQueue()
    expected: dict[str, float] = {}
    for name, when in settings:
        if when is None:
            queue.clear(name)
            expected.pop(name, None)
        else:
            queue.set(name, when)
            expected[name] = when
    assert queue.next_time() == min(expected.values(), default=math.inf)
    rung = []
    for now in range(21):
        while (name := queue.pop_due(now)) is not None:
            rung.append((name, now))
    assert dict(rung) == expected
    assert len(rung) == len(expected)


def test_alarm_set_for_never_is_cleared():
    queue: AlarmQueue[str] = AlarmQueue()
    queue.set("a", 1.0)
    queue.set("a", math.inf)
    assert queue.next_time() == math.inf


def test_two_refreshes_fit_into_a_lifetime():
    assert Timers().lifetime >= 3 * Timers().refresh_interval
