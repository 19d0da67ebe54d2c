"""Flows that stay are shared by their number among sites that are equal, however they come."""

import socket
from collections import Counter
from contextlib import ExitStack, asynccontextmanager, suppress

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import network, wait_until
from van.router.reactor.limits import Limits

SITES = ("north", "south", "east")
COUNT = 30
LEAST, MOST = 8, 12
"""Of thirty: within a quarter of even."""
TRIES = 3
"""A busy machine may make one site late for long, which then rightly gets less; by delay alone one
gets nearly all, each time."""
LIMITS = attrs.evolve(FAST, answer_timeout=Limits().answer_timeout)
"""A busy machine answers late, and what is not waited for teaches nothing."""
HOLD = 60.0
"""Seconds: with heartbeats so far apart no path is measured during a test, and all are as long. A
busy machine would find one twenty times as long as another, and rightly send less there."""
pytestmark = pytest.mark.slow("four routers, thirty flows")


class Servers:
    """An echo server for each site, which counts its clients."""

    def __init__(self, nursery):
        self.clients: Counter[str] = Counter()
        self._nursery = nursery

    async def start(self, name, protocol):
        """Start one, and return its port."""
        return await (self._start_tcp if protocol == "tcp" else self._start_udp)(name)

    async def _start_tcp(self, name):
        async def echo(stream):
            with suppress(trio.BrokenResourceError):
                async with stream:
                    async for data in stream:
                        self.clients[name] += 1
                        await stream.send_all(data)

        listeners = await self._nursery.start(trio.serve_tcp, echo, 0)
        return listeners[0].socket.getsockname()[1]

    async def _start_udp(self, name):
        sock = trio.socket.socket(type=socket.SOCK_DGRAM)
        await sock.bind(("127.0.0.1", 0))
        self._nursery.start_soon(self._echo_datagrams, name, sock)
        return sock.getsockname()[1]

    async def _echo_datagrams(self, name, sock):
        with sock:
            while True:
                data, address = await sock.recvfrom(2000)
                self.clients[name] += 1
                await sock.sendto(data, address)


@asynccontextmanager
async def equals(protocol, weights=(1, 1, 1), *, are_apart=True):
    """Lend a port that leads to three sites, or to three targets of one site, what they served, and
    the ingress."""
    async with trio.open_nursery() as nursery, network(LIMITS) as net:
        hub, servers = await net.start("hub"), Servers(nursery)
        site = None
        for name, weight in zip(SITES, weights, strict=True):
            if site is None or are_apart:
                site = await net.start(name)
                await net.link(site, hub, hold=HOLD)
            port = await servers.start(name, protocol)
            await site.expose("chat:1", port, protocol=protocol, weight=weight)
        port = await hub.reach("chat:1", protocol=protocol)
        services, count = hub.router.routes, len(SITES) if are_apart else 1
        await wait_until(
            lambda: len(services.fib.services[protocol, "chat:1"]) == count, "all are known"
        )
        yield port, servers.clients, hub
        nursery.cancel_scope.cancel()


async def hold(port, protocol):
    """Return a flow that has been answered."""
    if protocol == "tcp":
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await trio.sleep(0)  # it asks once it has been opened, as most programs do
        await stream.send_all(b"question")
        assert await stream.receive_some(100) == b"question"
        return stream.socket
    sock = trio.socket.socket(type=socket.SOCK_DGRAM)
    await sock.connect(("127.0.0.1", port))
    await sock.send(b"question")
    assert await sock.recv(100) == b"question"
    return sock


async def share(protocol, *, weights=(1, 1, 1), are_together, are_apart=True):
    """Open flows one after the other, or all at once, hold them until all are there, and return
    how many of them each site has."""
    async with equals(protocol, weights, are_apart=are_apart) as (port, clients, _):
        clients.clear()
        with ExitStack() as held:

            async def one():
                held.enter_context(await hold(port, protocol))

            if are_together:
                async with trio.open_nursery() as nursery:
                    for _ in range(COUNT):
                        nursery.start_soon(one)
            else:
                for _ in range(COUNT):
                    await one()
        assert clients.total() == COUNT
        return clients


async def are_even(protocol, **options):
    """See that flows are shared evenly, unless the machine pauses each time."""
    tries: list[Counter[str]] = []
    while not tries or not all(LEAST <= tries[-1][name] <= MOST for name in SITES):
        assert len(tries) < TRIES, tries
        tries.append(await share(protocol, **options))


@pytest.mark.parametrize("are_together", [True, False])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_flows_that_stay_are_shared_by_equal_sites(protocol, are_together):
    await are_even(protocol, are_together=are_together)


@pytest.mark.parametrize("are_together", [True, False])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_flows_that_stay_are_shared_by_equal_targets_of_a_site(protocol, are_together):
    await are_even(protocol, are_together=are_together, are_apart=False)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_flows_that_stay_are_shared_by_weight(protocol):
    clients = await share(protocol, weights=(4, 1, 1), are_together=False)
    assert 15 <= clients["north"] <= 25, clients
    assert min(clients["south"], clients["east"]) >= 3, clients


async def test_a_question_that_comes_once_the_flow_is_open_is_timed_as_well():
    async with equals("tcp") as (port, _, hub):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        flows, ranking = hub.router.flows, hub.router.data.ingress.ranking
        await wait_until(
            lambda: any(getattr(each.carrying, "is_opened", False) for each in flows._live),
            "it is open",
        )
        await stream.send_all(b"question")
        assert await stream.receive_some(100) == b"question"
        states = ranking.balancer._states["tcp", "chat:1"].values()
        assert sum(each.answers.rounds for each in states) == 1
        await stream.aclose()
