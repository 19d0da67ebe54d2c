import random
import socket

import pytest
import trio

from van.balancing.balancer import Balancer
from van.errors import LinkLost, Unreachable
from van.router.flow.table import Flow
from van.router.ingress.attempt import PATIENCE, Declined, Offer


@pytest.fixture
def offer(autojump_clock):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        flow = Flow("f", "ingress", "tcp", "db:1", "", "client", 0.0)
        yield Offer(("tcp", "db:1"), flow, ours, Balancer(random.Random()), lambda _: None)


async def test_a_site_that_declines_is_not_asked_again(offer):
    offer.decline("a", Declined("full"))
    assert offer.excluded == {"a"}
    assert not await offer.may_try_again()
    assert offer.reason() == "a: full"


@pytest.mark.parametrize("failure", [LinkLost("gone"), Unreachable("hub can't relay: no route")])
async def test_a_path_that_fails_is_tried_again_after_a_moment(offer, failure):
    offer.decline("a", failure)
    assert offer.excluded == {"a"}
    assert await offer.may_try_again()
    assert offer.excluded == set()


async def test_a_path_that_goes_on_failing_is_given_up(offer):
    began = trio.current_time()
    offer.decline("a", LinkLost("gone"))
    while await offer.may_try_again():
        offer.decline("a", LinkLost("gone again"))
    assert trio.current_time() - began == pytest.approx(PATIENCE, rel=0.1)
    assert offer.reason() == "a: gone again"


async def test_nobody_to_ask_is_nothing_to_wait_for(offer):
    assert not await offer.may_try_again()
    assert offer.reason() == "no site that can be reached serves it now"
