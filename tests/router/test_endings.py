"""Why a flow was refused, or broke off, is found at both of its ends."""

import contextlib
import socket
import struct

import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from tests.router.conftest import passage
from van.control import endpoints as api
from van.control.values.flows import MAX_ENDINGS
from van.router.flow.flow import Flow
from van.router.flow.outcome import Ending
from van.router.flow.table import Flows

ADDRESS = "target:7"


async def echo(stream):
    with contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            async for data in stream:
                await stream.send_all(data)


async def ended(site, count=1):
    """Return how flows of a site ended, once so many have."""
    await wait_until(lambda: len(site.router.flows.endings.statuses()) >= count, "it has ended")
    return await site.ask(api.ENDED_FLOWS)


def reset(stream):
    """Break a connection off, as a program that crashes does."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


async def refused(port):
    """Connect, and be reset."""
    with contextlib.suppress(OSError, trio.BrokenResourceError):
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            assert await client.receive_some() == b""


async def test_a_flow_that_ends_in_order_leaves_its_bytes_at_both_ends():
    async with passage("transit", echo) as way:
        async with await way.connect() as client:
            await client.send_all(b"12345")
            assert await client.receive_some() == b"12345"
            await client.send_eof()
            assert await client.receive_some() == b""
        (there,), (here,) = await ended(way.egress), await ended(way.ingress)
        assert here.id == there.id
        assert (here.ending, here.detail, here.address) == ("finished", "", ADDRESS)
        assert (here.role, there.role) == ("ingress", "egress")
        assert (here.peer_site, there.peer_site) == (way.egress.name, way.ingress.name)
        assert (here.bytes_in, here.bytes_out) == (there.bytes_in, there.bytes_out) == (5, 5)
        assert here.lasted > 0.0


async def test_a_refused_flow_leaves_why():
    async with network() as net:
        west, _, east = await net.line("west", "hub", "east")
        east.claim(ADDRESS, free_port())
        await refused(await west.reach(ADDRESS))
        (here,), (there, *_) = await ended(west), await ended(east)
        for each, peer in ((here, "east"), (there, "west")):
            assert (each.ending, each.address, each.peer_site) == ("refused", ADDRESS, peer)
            assert "connection refused" in each.detail
        assert here.local.startswith("127.0.0.1:")
        status = await west.ask(api.STATUS)
        assert status.counters.flows_refused == 1


async def test_a_flow_that_is_not_allowed_leaves_why_at_the_egress(monkeypatch):
    async with network() as net:
        hub, guest = await net.start("hub"), await net.start("guest")
        await net.link(guest, hub)
        hub.claim(ADDRESS, free_port())
        port = await guest.reach(ADDRESS)
        monkeypatch.setattr(hub.router.trust, "lets_bind", lambda *_: False)
        await refused(port)
        (there, *_) = await ended(hub)
        assert (there.ending, there.peer_site) == ("refused", "guest")
        assert "may not reach this address" in there.detail
        (here,) = await ended(guest)
        assert "hub: the ingress may not reach this address" in here.detail


@pytest.mark.parametrize("placement", ["local", "transit"])
async def test_who_broke_a_flow_off_is_said(placement):
    async def crash(stream):
        assert await stream.receive_some() == b"crash"
        reset(stream)

    async with passage(placement, crash) as way:
        async with await way.connect() as client:
            await client.send_all(b"crash")
            with pytest.raises(trio.BrokenResourceError):
                await client.receive_some()
        (here,) = await ended(way.ingress)
        assert (here.ending, here.bytes_in) == ("reset", 5)
        assert here.detail in ("the target reset it", "the target broke it off")
        (there,) = await ended(way.egress)
        assert there.detail.startswith("the target broke it off")


@pytest.mark.parametrize("placement", ["local", "transit"])
async def test_a_client_that_broke_a_flow_off_is_said(placement):
    async with passage(placement, echo) as way:
        client = await way.connect()
        await client.send_all(b"x")
        assert await client.receive_some() == b"x"
        reset(client)
        (here,), (there,) = await ended(way.ingress), await ended(way.egress)
        assert here.ending == there.ending == "reset"
        assert here.detail.startswith("the client broke it off")
        assert there.detail in (here.detail, "the client reset it")


async def test_a_lost_path_is_said():
    async with passage("transit", echo) as way:
        async with await way.connect() as client:
            await client.send_all(b"x")
            assert await client.receive_some() == b"x"
            way.transit.scope.cancel()
            with pytest.raises(trio.BrokenResourceError):
                await client.receive_some()
        (here,) = await ended(way.ingress)
        assert here.ending == "reset"
        assert here.detail.startswith("path lost: ")


async def test_a_udp_session_that_nobody_takes_leaves_why():
    async with network() as net:
        west, east = await net.line("west", "east")
        await east.expose(ADDRESS, free_port(is_udp=True), protocol="udp")
        port = await west.reach(ADDRESS, protocol="udp")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", port))
            client.send(b"anybody?")
            (here, *_) = await ended(west)
        assert (here.ending, here.protocol) == ("refused", "udp")
        assert "refused" in here.detail


def flow(number, ending):
    return Flow(
        id=str(number), role="ingress", protocol="tcp", address=ADDRESS, peer_site="",
        local="", opened_at=0.0, ending=ending, detail="x" * 10_000,
    )  # fmt: skip


async def test_those_that_failed_are_not_pushed_out_by_those_that_finished():
    flows = Flows(1, lambda: 1.0)
    for number in range(3 * MAX_ENDINGS):
        for ending in (Ending.REFUSED, Ending.FINISHED, Ending.FINISHED):
            each = flow(number, ending)
            flows.add(each)
            flows.remove(each)
    kept = flows.endings.statuses()
    assert [each.ending for each in kept].count("refused") == MAX_ENDINGS
    assert [each.ending for each in kept].count("finished") == MAX_ENDINGS
    assert max(int(each.id) for each in kept) == 3 * MAX_ENDINGS - 1
    assert max(len(each.detail) for each in kept) == 500
