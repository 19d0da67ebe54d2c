"""Which sessions are over and which make way, by what they have been."""

import attrs
import pytest

from van.router.ingress.ageing import ANSWERED, ASKING, CONVERSING, Ages, Count
from van.router.reactor.limits import Limits

LIMITS = Limits(answered_idle=2.0, answer_timeout=1.0, min_session_idle=5.0)


@attrs.define(eq=False)
class Quiet:
    """A session of some stage that was active at some time."""

    last_active: float = 0.0
    stage: int = ASKING

    def end(self):
        pass


def ages_of(*sessions, idle=60.0):
    ages = Ages(idle, LIMITS, Count())
    for each in sessions:
        ages.add(each)
    return ages


@pytest.mark.parametrize(("stage", "lifetime"), [(ASKING, 60), (ANSWERED, 2), (CONVERSING, 60)])
def test_a_session_stays_for_as_long_as_it_may_be_needed(stage, lifetime):
    session = Quiet(100.0, stage)
    ages = ages_of(session)
    assert ages.expired(100.0 + lifetime - 0.01) == []
    assert ages.expired(100.0 + lifetime) == [session]


def test_a_listeners_shorter_time_is_that_of_all():
    sessions = [Quiet(100.0, stage) for stage in (ASKING, ANSWERED, CONVERSING)]
    assert ages_of(*sessions, idle=0.5).expired(100.5) == sessions
    assert ages_of(idle=0.5).shortest == 0.5


def test_what_is_active_moves_behind_the_others_of_its_stage():
    first, second = Quiet(100.0, ANSWERED), Quiet(101.0, ANSWERED)
    ages = ages_of(first, second)
    assert ages.next_to_go(101.0) is first
    ages.was_active(first, ANSWERED, 101.5)
    assert ages.next_to_go(101.5) is second
    assert ages.expired(103.0) == [second]
    ages.was_active(second, CONVERSING, 103.0)
    assert ages.expired(104.0) == [first]
    assert len(ages) == 2


def test_who_is_answered_makes_way_at_once_and_others_when_they_are_quiet():
    talking, asking, answered = Quiet(100.0, CONVERSING), Quiet(100.0), Quiet(103.0, ANSWERED)
    ages = ages_of(talking, asking, answered)
    assert ages.next_to_go(103.0) is answered
    ages.remove(answered)
    assert ages.next_to_go(103.0) is asking
    ages.remove(asking)
    assert ages.next_to_go(104.9) is None
    assert ages.next_to_go(105.0) is talking


def test_all_ports_count_together():
    count, session = Count(), Quiet()
    ages, others = Ages(60.0, LIMITS, count), Ages(60.0, LIMITS, count)
    ages.add(session)
    others.add(Quiet())
    ages.remove(session)
    assert len(count) == 1
