"""A flow that turns out to be bulk leaves its bundle for a channel, and comes back at rest."""

import os
import random
from functools import partial

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import wait_until
from tests.router.conftest import passage
from van.router.bundles.subchannel import Subchannel
from van.router.channels.channel import Channel
from van.router.reactor import loop as reactor
from van.router.reactor import workers

RESTLESS = attrs.evolve(FAST, bulk_rest=0.2)
CHUNK = 1 << 20
pytestmark = pytest.mark.slow("moves megabytes, and rests")


@pytest.fixture(params=["one-loop", pytest.param("threads", marks=pytest.mark.epoll("threads"))])
def _loops(request, monkeypatch):
    if request.param == "threads":
        monkeypatch.setattr(reactor, "SAMPLE", 1)
        monkeypatch.setattr(workers, "BULK", 0.0)
        monkeypatch.setattr(os, "cpu_count", lambda: 2)


async def echo(stream):
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def exchange(client, data):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, data)
        got = bytearray()
        while len(got) < len(data):
            part = await client.receive_some(1 << 16)
            assert part, "it ended"
            got += part
    assert got == data


def are_on(way, kind):
    """Tell whether both ends of the only flow say and hear everything on a carrier of a kind."""
    streams = [
        flow.carrying for site in (way.ingress, way.egress) for flow in site.router.flows._live
    ]
    assert len(streams) == 2
    return all(isinstance(each.channel, kind) and each.channel is each._source for each in streams)


def has_no_flow(site):
    return not len(site.router.flows)


@pytest.mark.usefixtures("_loops")
@pytest.mark.parametrize("placement", ["neighbor", "dialled-by-the-egress", "transit"])
async def test_a_flow_that_was_bulk_comes_back_when_it_rests_and_may_leave_again(placement):
    rng = random.Random(placement)
    async with passage(placement, echo, limits=RESTLESS) as way, await way.connect() as client:
        await exchange(client, b"question")
        for _ in range(3):
            assert are_on(way, Subchannel)
            with trio.fail_after(60):
                while not are_on(way, Channel):
                    await exchange(client, rng.randbytes(CHUNK))
            await wait_until(lambda: are_on(way, Subchannel), "it is back")
            await exchange(client, b"question")
        pool = way.ingress.router.data.channels.pools.pool(way.egress.name)
        bundles = way.ingress.router.data.channels.bundles.pool(way.egress.name)
        await wait_until(lambda: pool.in_use == bundles.size, "its channel is free again")
        await client.send_eof()
        assert not await client.receive_some(1)
        for site in (way.ingress, way.egress):
            await wait_until(partial(has_no_flow, site), "it is over")
            assert not site.router.flows.reset


@pytest.mark.usefixtures("_loops")
async def test_what_is_said_while_a_flow_moves_there_and_back_is_whole():
    limits = attrs.evolve(FAST, bulk_rest=0.01)
    rng = random.Random(1)
    async with passage("neighbor", echo, limits=limits) as way, await way.connect() as client:
        for _ in range(30):
            await exchange(client, rng.randbytes(rng.choice([1, 1000, CHUNK // 2, CHUNK])))
            await trio.sleep(rng.choice([0.0, 0.005, 0.012, 0.02, 0.03]))
        await client.send_eof()
        assert not await client.receive_some(1)
        for site in (way.ingress, way.egress):
            await wait_until(partial(has_no_flow, site), "it is over")
            assert not site.router.flows.reset
