"""What ends is freed at once: nothing of a flow, or of a channel, waits for the collector."""

import contextlib
import gc
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import pytest
import trio

from benchmarks.soak.census import containers
from lab.limits import FAST
from lab.network import network, wait_until
from tests.router.flow.test_datagrams import is_empty
from tests.router.test_flows import reset
from van.control import endpoints as api
from van.control.values.attachments import ConnectorSpec, ListenerSpec

LIMITS = attrs.evolve(FAST, idle_lifetime=0.2, trim_interval=0.1, group_lifetime=0.2)
ROUNDS = 4
BOUNDED = ("EventLog", "Endings", "LeastRecent")
"""What keeps the last so many of something, and has fewer yet."""


@contextlib.contextmanager
def saving_garbage():
    """Have cycles kept that the collector finds, and collect only when it is told to."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def garbage():
    """Return the kinds of what only the collector would have freed."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    kinds = {f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.garbage}
    gc.garbage.clear()
    return {kind for kind in kinds if kind.startswith(("van.", "OpenSSL."))}


async def serve(stream):
    with contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            async for data in stream:
                if data == b"reset":
                    reset(stream)
                    return
                await stream.send_all(data)


async def serve_datagrams(sock):
    while True:
        data, peer = await sock.recvfrom(100)
        await sock.sendto(data, peer)


async def say(text, port):
    """Open a flow, say something, and leave when it is over or answered."""
    with contextlib.suppress(OSError, trio.BrokenResourceError):
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(text)
            await client.receive_some(100)
            if text == b"leave":
                reset(client)


async def ask(port):
    with trio.socket.socket(type=socket.SOCK_DGRAM) as sock:
        await sock.connect(("127.0.0.1", port))
        await sock.send(b"?")
        with trio.move_on_after(1):
            await sock.recv(100)


KINDS: dict[str, tuple[str, str, Callable[[int], Awaitable[None]]]] = {
    "echoed": ("echo:7", "tcp", partial(say, b"hello")),
    "reset by the target": ("echo:7", "tcp", partial(say, b"reset")),
    "reset by the client": ("echo:7", "tcp", partial(say, b"leave")),
    "refused": ("gone:7", "tcp", partial(say, b"hello")),
    "copied": ("copy:7", "tcp", partial(say, b"reset")),
    "asked": ("dns:53", "udp", ask),
    "asked of all": ("news:53", "udp", ask),
}


@pytest.mark.slow("waits for idle sessions and channels to end")
@pytest.mark.parametrize("names", [("west", "hub", "east"), ("only",)], ids=["transit", "local"])
async def test_nothing_that_has_ended_waits_for_the_collector(names):
    async with trio.open_nursery() as nursery, network(LIMITS) as net:
        sites = await net.line(*names)
        ingress, egress = sites[-1], sites[0]
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        target = listeners[0].socket.getsockname()[1]
        sock = trio.socket.socket(type=socket.SOCK_DGRAM)
        await sock.bind(("127.0.0.1", 0))
        nursery.start_soon(serve_datagrams, sock)
        closed = socket.create_server(("127.0.0.1", 0))
        for address, protocol, port, distribution in (
            ("echo:7", "tcp", target, "balanced"),
            ("gone:7", "tcp", closed.getsockname()[1], "balanced"),
            ("copy:7", "tcp", target, "multicast"),
            ("dns:53", "udp", sock.getsockname()[1], "balanced"),
            ("news:53", "udp", sock.getsockname()[1], "multicast"),
        ):
            options = {"protocol": protocol, "distribution": distribution}
            await egress.expose(address, port, **options)
        ports = {
            address: await ingress.reach(address, protocol=protocol, idle=0.3)
            for address, protocol in {each[:2] for each in KINDS.values()}
        }
        closed.close()
        for address, _, use in KINDS.values():  # what the first of each makes stays
            await use(ports[address])
        with saving_garbage():
            for kind, (address, _, use) in KINDS.items():
                async with trio.open_nursery() as users:
                    for _ in range(ROUNDS):
                        users.start_soon(use, ports[address])
                for site in {ingress, egress}:
                    await wait_until(partial(is_empty, site.router.flows), "all have ended")
                await trio.sleep(2 * LIMITS.idle_lifetime)
                assert not garbage(), f"left by flows that were {kind}"
        nursery.cancel_scope.cancel()
        sock.close()


async def test_a_link_that_was_lost_does_not_wait_for_the_collector():
    async with network(LIMITS) as net:
        west, east = await net.line("west", "east")
        (link,) = west.router.links.up.values()
        (other,) = east.router.links.up.values()
        with saving_garbage():
            link.conversation._tls.sock.shutdown(socket.SHUT_RDWR)
            await wait_until(partial(is_replaced, west, link), "there is another one")
            await wait_until(partial(is_replaced, east, other), "there is another one")
            del link, other
            assert not garbage()


def is_replaced(site, link):
    return link not in site.router.links.up.values() and site.router.links.up


def sizes(sites):
    """Return how much is in each container of some routers."""
    return containers(site.router for site in sites)


@pytest.mark.slow("addresses come and go one after the other")
async def test_what_is_known_of_an_address_goes_with_it():
    async with trio.open_nursery() as nursery, network(LIMITS) as net:
        west, east = await net.line("west", "east")
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        target = listeners[0].socket.getsockname()[1]
        sock = trio.socket.socket(type=socket.SOCK_DGRAM)
        await sock.bind(("127.0.0.1", 0))
        nursery.start_soon(serve_datagrams, sock)

        async def come_and_go(name, *, protocol, port, use):
            spec = {"address": name, "protocol": protocol}
            await east.expose(name, port, protocol=protocol)
            await use(await west.reach(name, protocol=protocol, idle=0.1))
            await west.ask(api.UNBIND, ListenerSpec(**spec))
            await east.ask(api.UNEXPOSE, ConnectorSpec(**spec))
            await wait_until(partial(is_gone, west, (protocol, name)), "it is withdrawn")

        async def round_of(number):
            for index in range(ROUNDS):
                name = f"new-{number}-{index}:7"
                await come_and_go(name, protocol="tcp", port=target, use=partial(say, b"hello"))
                port = sock.getsockname()[1]
                await come_and_go(name, protocol="udp", port=port, use=ask)
            for site in (west, east):
                await wait_until(partial(is_empty, site.router.flows), "all have ended")

        await round_of(0)
        before = sizes((west, east))
        await round_of(1)

        def grown():
            now = sizes((west, east))
            return {
                place: (before[place], size)
                for place, size in now.items()
                if size >= before[place] + ROUNDS and not place.startswith(BOUNDED)
            }

        with trio.move_on_after(10):
            while grown():
                await trio.sleep(0.1)
        assert not grown()
        nursery.cancel_scope.cancel()
        sock.close()


def is_gone(site, service):
    return service not in site.router.routes.fib.services
