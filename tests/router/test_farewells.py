"""Who breaks a flow off on purpose says why, and that is found at the other end."""

import contextlib
import itertools

import pytest
import trio

from lab.network import network, wait_until
from tests.router.flow.test_datagrams import udp_socket
from tests.router.links.test_expelling import expel
from van.control import endpoints as api
from van.control.values.policy import PolicySpec

pytestmark = pytest.mark.slow("routers are started and linked")
LIST = "not allowed: it is exposed for tag:prod only"
CLOSED = "not allowed: the VAN is closed, and no rule or list is for this site"


async def narrow(hub, place, protocol):
    options = {"protocol": protocol, "allow_from": ("tag:prod",)}
    await hub.expose("db:5432", place, **options)


async def close(hub, _place, _protocol):
    await hub.ask(api.SET_POLICY, PolicySpec(is_closed=True))


async def put_out(hub, _place, _protocol):
    await expel(hub, "guest")


async def stop(hub, _place, _protocol):
    hub.router.stop(0.0)


def endings(site):
    return [
        each
        for each in site.router.flows.endings.statuses()
        if each.ending == "reset" and each.address == "db:5432"
    ]


async def ended(site):
    """Return why the one flow of a site was broken off, once it was."""
    await wait_until(lambda: endings(site), f"a flow has ended at {site.name}")
    (found,) = endings(site)
    return found.detail


@contextlib.asynccontextmanager
async def passage(middle):
    """A flow's two ends, with a site between them or without."""
    async with trio.open_nursery() as nursery, network() as net:
        hub, guest = await net.start("hub"), await net.start("guest")
        near = hub
        if middle:
            near = await net.start("middle")
            await net.link(near, hub, can_invite=True)
        await net.link(guest, near)
        yield nursery, hub, guest
        nursery.cancel_scope.cancel()


async def pour(stream):
    """Send more than anybody takes."""
    with contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            for _ in itertools.count():
                await stream.send_all(bytes(65536))


async def echo(stream):
    with contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            async for data in stream:
                await stream.send_all(data)


async def drain(port, opened):
    with contextlib.suppress(trio.BrokenResourceError):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"x")
            async for _ in stream:
                opened.set()


@pytest.mark.parametrize("middle", [False, True], ids=["direct", "relayed"])
@pytest.mark.parametrize("serve", [echo, pour])
@pytest.mark.parametrize(
    ("cut", "why"),
    [(narrow, LIST), (close, CLOSED), (put_out, "was expelled"), (stop, "the router has stopped")],
)
async def test_why_a_flow_is_broken_off_is_said_at_the_other_end(middle, serve, cut, why):
    async with passage(middle) as (nursery, hub, guest):
        place = (await nursery.start(trio.serve_tcp, serve, 0))[0].socket.getsockname()[1]
        await hub.expose("db:5432", place)
        opened = trio.Event()
        nursery.start_soon(drain, await guest.reach("db:5432"), opened)
        await opened.wait()
        await cut(hub, place, "tcp")
        detail = await ended(guest)
        assert why in detail
        if cut is not put_out:  # of which the guest may hear by its link first
            assert detail == f"site 'hub' ended it: {why}"


@pytest.mark.parametrize(("cut", "why"), [(narrow, LIST), (close, CLOSED)])
async def test_why_a_session_is_broken_off_is_said_at_the_other_end(cut, why):
    async with passage(middle=False) as (nursery, hub, guest):
        server = await udp_socket()

        async def serve():
            while True:
                data, address = await server.recvfrom(100)
                await server.sendto(data, address)

        nursery.start_soon(serve)
        place = server.getsockname()[1]
        await hub.expose("db:5432", place, protocol="udp")
        port = await guest.reach("db:5432", protocol="udp")
        clients = [await udp_socket(port) for _ in range(20)]
        for each in clients:
            await each.send(b"1")
            assert await each.recv(100) == b"1"
        await cut(hub, place, "udp")
        await wait_until(lambda: not len(guest.router.flows), "the sessions have ended")
        assert {each.detail for each in endings(guest)} == {f"site 'hub' ended it: {why}"}


async def test_an_ingress_that_stops_says_so():
    async with passage(middle=False) as (nursery, hub, guest):
        place = (await nursery.start(trio.serve_tcp, echo, 0))[0].socket.getsockname()[1]
        await hub.expose("db:5432", place)
        opened = trio.Event()
        nursery.start_soon(drain, await guest.reach("db:5432"), opened)
        await opened.wait()
        guest.router.stop(0.0)
        assert await ended(hub) == "site 'guest' ended it: the router has stopped"
