"""Which flows count as work at an instance, and what it learns of their requests."""

import pytest

from tests.router.egress.examples import flow
from van.router.egress.backlog import IDLE, LOOK_INTERVAL, Backlog


def test_a_request_is_timed_from_what_it_found_to_the_first_of_its_answer():
    backlog = Backlog()
    backlog._looked_at = 10.0
    first, second = flow(), flow()
    for each in (first, second):
        backlog.add(each)
    assert backlog.request_sent(first, 10.0) == 1.0  # the other one
    backlog.response_started(first, 1.0, 10.3)
    assert backlog.curve.expected(1.0) == pytest.approx(0.3)
    backlog.response_started(first, 1.0, 99.0)  # more of the same answer
    assert backlog.curve.expected(1.0) == pytest.approx(0.3)


def test_flows_that_do_nothing_count_for_a_tenth_and_those_that_wait_in_full():
    backlog = Backlog()
    now = 10.0
    backlog._looked_at = now
    quiet, waiting, moving = flow(5), flow(5), flow(5)
    for each in (quiet, waiting, moving):
        backlog.add(each)
        each.passed = 10  # in both directions
    assert backlog.work(now) == 3.0  # they are new
    backlog.request_sent(waiting, now)
    moving.carrying.passed = 6
    later = now + LOOK_INTERVAL + 0.1
    assert backlog.work(later) == pytest.approx(2 + IDLE)
    assert backlog.request_sent(quiet, later) == pytest.approx(2.0)
    assert backlog.work(later) == pytest.approx(3.0)
    for each in (quiet, waiting, moving):
        backlog.remove(each)
    assert backlog.work(later) == 0.0
    assert backlog.flows == 0


def test_an_old_request_without_an_answer_is_reported():
    backlog = Backlog()
    backlog._looked_at = 10.0
    backlog.curve.sample(0.0, 0.1)
    stuck = flow()
    backlog.add(stuck)
    backlog.request_sent(stuck, 10.0)
    assert backlog.load(10.1).expected_delay == pytest.approx(0.2)
    assert backlog.load(12.0).expected_delay == pytest.approx(2.0)
