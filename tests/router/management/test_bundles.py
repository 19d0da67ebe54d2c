"""What carries flows is told at both of its ends, as the kernel tells it."""

import random
import sys
import time
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import wait_until
from tests.router.conftest import passage
from tests.router.test_moving import CHUNK, echo, exchange
from van.router.management.status import router_status

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells that much")


def status(site):
    return router_status(site.router, time.monotonic())


async def test_both_ends_tell_of_the_bundles_that_flows_share():
    limits = attrs.evolve(FAST, congestion="reno")
    async with passage("neighbor", echo, limits=limits) as way:
        assert status(way.ingress).bundles == status(way.egress).bundles == ()
        async with await way.connect() as first, await way.connect() as second:
            for client in (first, second):
                await exchange(client, b"question")
            for site, role, other in (
                (way.ingress, "ingress", way.egress),
                (way.egress, "egress", way.ingress),
            ):
                (found,) = status(site).bundles
                assert (found.site, found.role) == (other.name, role)
                assert (found.bundles, found.flows, found.bulk) == (1, 2, 0)
                assert found.congestion == ("reno",)
                assert found.segments > found.repeated >= 0  # a busy machine sends some twice
                assert 0 < found.round_trip_ms < 1000
            (bundle,) = way.ingress.router.data.channels.bundles.pool(way.egress.name).bundles
            for is_stalled in (True, False):
                bundle.is_stalled = is_stalled
                assert status(way.ingress).bundles[0].stalled == is_stalled


@pytest.mark.slow("moves megabytes")
async def test_a_flow_that_has_a_channel_of_its_own_is_counted_as_bulk():
    rng = random.Random(7)
    limits = attrs.evolve(FAST, bulk_rest=60.0)
    async with passage("neighbor", echo, limits=limits) as way, await way.connect() as client:
        with trio.fail_after(60):
            while not all(flow.is_bulk for flow in status(way.egress).flows):
                await exchange(client, rng.randbytes(CHUNK))
        for site in (way.ingress, way.egress):
            (found,) = status(site).bundles
            assert (found.flows, found.bulk) == (0, 1)
            (flow,) = status(site).flows
            assert flow.is_bulk
        await client.send_eof()
        while await client.receive_some(1 << 16):
            pass
        for site in (way.ingress, way.egress):
            await wait_until(partial(has_no_bulk, site), "nothing is bulk any more")


@pytest.mark.parametrize(
    ("chosen", "got"), [("", ""), ("reno", "reno"), ("no-such-thing", "")], ids=repr
)
async def test_the_congestion_control_of_new_connections_is_told(chosen, got):
    async with passage("neighbor", echo, limits=attrs.evolve(FAST, congestion=chosen)) as way:
        own = status(way.ingress).router
        assert own.congestion_chosen == chosen
        assert own.congestion == (got or of_the_system())
        assert bool(own.congestion_failure) is (got != chosen)


def has_no_bulk(site):
    return not any(each.bulk for each in status(site).bundles)


def of_the_system():
    return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
