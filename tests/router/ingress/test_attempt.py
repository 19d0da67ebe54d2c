import random

import pytest
import trio

from van.balancing.balancer import Balancer
from van.errors import LinkLost, Unreachable
from van.router.flow.flow import Flow
from van.router.ingress.attempt import FlowAttempt, FlowRefused
from van.router.reactor.limits import Limits
from van.router.reactor.loop import EventLoop

OfferedFlow = type("OfferedFlow", (FlowAttempt,), dict.fromkeys(FlowAttempt.__abstractmethods__))
"""One that nobody carries."""


@pytest.fixture
def attempt():
    flow = Flow("f", "ingress", "tcp", "db:1", "", "client", 0.0)
    return OfferedFlow(EventLoop(), Balancer(random.Random()), ("tcp", "db:1"), flow)


async def test_a_site_that_refuses_is_not_asked_again(attempt):
    attempt.record_refusal("a", FlowRefused("full"))
    assert attempt.excluded == {"a"}
    assert not await attempt.may_try_again()
    assert attempt.reason() == "a: full"


@pytest.mark.parametrize("failure", [LinkLost("gone"), Unreachable("hub can't relay: no route")])
async def test_a_path_that_fails_is_tried_again_after_a_moment(attempt, failure, autojump_clock):
    attempt.record_refusal("a", failure)
    assert attempt.excluded == {"a"}
    assert await attempt.may_try_again()
    assert attempt.excluded == set()


async def test_a_path_that_goes_on_failing_is_given_up(attempt, autojump_clock):
    began = trio.current_time()
    attempt.record_refusal("a", LinkLost("gone"))
    while await attempt.may_try_again():
        attempt.record_refusal("a", LinkLost("gone again"))
    assert trio.current_time() - began == pytest.approx(Limits().patience, rel=0.1)
    assert attempt.reason() == "a: gone again"


async def test_nobody_to_ask_is_nothing_to_wait_for(attempt):
    assert not await attempt.may_try_again()
    assert attempt.reason() == "no site that can be reached serves it now"
