"""Multicast over TCP: every instance gets the whole stream, and a slow one holds up no other."""

import contextlib
import socket
from functools import partial

import attrs
import pytest
import trio

from lab.network import network, wait_until
from tests.router.flow.test_datagrams import is_empty
from tests.router.reactor.test_lingering import narrow_pair, read_to_the_end
from van.router.flow.fan_out import Copy, FanOut
from van.router.reactor.limits import Limits
from van.router.reactor.loop import EventLoop
from van.router.reactor.sockets import close_with_reset, connected_pair
from van.router.telemetry.events import EventKind

pytestmark = pytest.mark.slow("each test sets up four sites and their links")

PATIENCE = 10.0
SERVICE = ("tcp", "feed:7")


@attrs.define
class Instance:
    """A server that keeps what it is sent, and may answer; `may_read` holds it up."""

    name: str
    answer: bytes = b""
    heard: bytearray = attrs.field(factory=bytearray)
    ended: int = 0
    failed: int = 0
    may_read: trio.Event = attrs.field(factory=trio.Event)

    async def serve(self, stream):
        await self.may_read.wait()
        try:
            async with stream:
                async for data in stream:
                    self.heard += data
                    if self.answer:
                        await stream.send_all(self.answer)
                self.ended += 1
        except trio.BrokenResourceError:
            self.failed += 1


@attrs.define
class Scene:
    nursery: trio.Nursery
    sites: dict
    instances: dict = attrs.field(factory=dict)
    port: int = 0

    async def add(self, name, site, answer=b""):
        instance = self.instances[name] = Instance(name, answer)
        instance.may_read.set()
        listeners = await self.nursery.start(trio.serve_tcp, instance.serve, 0)
        port = listeners[0].socket.getsockname()[1]
        await self.sites[site].expose("feed:7", port, distribution="multicast")
        await wait_until(lambda: instance.ended, "it has been looked at")
        instance.ended = 0
        return instance

    def events(self, site):
        log = self.sites[site].router.control.events.after(0)
        return [each.text for each in log if each.kind is EventKind.COPY_LOST]


@contextlib.asynccontextmanager
async def scene(*instances, **options):
    async with trio.open_nursery() as nursery, network() as net:
        hub = await net.start("hub")
        found = Scene(nursery, {"hub": hub})
        for name in ("source", "west", "east"):
            found.sites[name] = await net.start(name)
            await net.link(found.sites[name], hub)
        routes = hub.router.routes
        await wait_until(lambda: routes.fib.routes.keys() >= net.sites.keys(), "the hub knows all")
        for name, site, *answer in instances:
            await found.add(name, site, *answer)
        found.port = await found.sites["source"].reach("feed:7", **options)
        routes = found.sites["source"].router.routes
        sites = tuple(sorted({site for _, site, *_ in instances}))
        await wait_until(lambda: routes.fib.services.get(SERVICE) == sites, "all are known")
        yield found
        nursery.cancel_scope.cancel()


def has_heard(instance, data):
    return instance.heard == data


def has_failed(instance):
    return instance.failed


FOUR = (("w1", "west"), ("w2", "west"), ("e1", "east"), ("s1", "source"))
DATA = bytes(index % 251 for index in range(700_000))


async def say(stage, data):
    """Say something, and return what is answered until the end."""
    with trio.fail_after(PATIENCE):
        async with await trio.open_tcp_stream("127.0.0.1", stage.port) as client:
            await client.send_all(data)
            await client.send_eof()
            return b"".join([part async for part in client])


async def no_flow_left(stage):
    for site in stage.sites.values():
        flows = site.router.flows
        await wait_until(partial(is_empty, flows), "every flow has ended")
        for connector in site.router.data.egress.targets.connectors:
            assert connector.flows == 0


async def test_every_instance_gets_the_whole_stream_and_answers_are_discarded():
    async with scene(("w1", "west", b"answer"), *FOUR[1:]) as stage:
        assert await say(stage, DATA) == b""
        for instance in stage.instances.values():
            assert bytes(instance.heard) == DATA
            assert (instance.ended, instance.failed) == (1, 0)
        await no_flow_left(stage)
        assert not any(stage.events(site) for site in stage.sites)


async def test_the_first_that_answers_is_heard_if_that_is_wanted():
    answering = [("w1", "west", b"w"), ("e1", "east", b"e"), ("s1", "source"), ("h1", "hub")]
    async with scene(*answering, first_reply=True) as stage:
        answers = {bytes(set(await say(stage, b"question"))) for _ in range(3)}
        assert answers <= {b"w", b"e"}
        assert all(each.heard == b"question" * 3 for each in stage.instances.values())
        await no_flow_left(stage)


async def test_an_instance_that_takes_nothing_is_dropped_and_holds_up_no_other():
    async with scene(("w1", "west"), ("w2", "west"), ("e1", "east")) as stage:
        stuck = stage.instances["w2"]
        stuck.may_read = trio.Event()
        data = DATA * 40
        assert await say(stage, data) == b""
        for name in ("w1", "e1"):
            assert stage.instances[name].heard == data
        (event,) = stage.events("west")
        assert "gets no more of flow" in event
        assert "took too little" in event
        assert not stage.events("source")
        stuck.may_read.set()
        await wait_until(lambda: stuck.failed, "it has been reset")
        await no_flow_left(stage)


async def test_an_instance_that_dies_harms_no_other():
    async with scene(("w1", "west"), ("e1", "east")) as stage:
        with trio.fail_after(PATIENCE):
            async with await trio.open_tcp_stream("127.0.0.1", stage.port) as client:
                await client.send_all(b"1")
                await wait_until(lambda: stage.instances["e1"].heard == b"1", "it has come")
                stage.sites["west"].scope.cancel()
                for _ in range(50):
                    await client.send_all(b"2")
                    await trio.sleep(0.01)
                await client.send_eof()
                assert [part async for part in client] == []
        assert stage.instances["e1"].heard == b"1" + b"2" * 50
        assert len(stage.events("source")) == 1
        assert "site west gets no more" in stage.events("source")[0]


async def test_the_reset_of_a_client_is_a_reset_at_every_instance():
    async with scene(("w1", "west"), ("e1", "east"), ("s1", "source")) as stage:
        client = socket.create_connection(("127.0.0.1", stage.port))
        client.sendall(b"half a")
        for instance in stage.instances.values():
            await wait_until(partial(has_heard, instance, b"half a"), "it has come")
        close_with_reset(client)
        for instance in stage.instances.values():
            await wait_until(partial(has_failed, instance), "it has seen the reset")
            assert instance.ended == 0
        await no_flow_left(stage)


async def test_a_client_is_reset_when_nobody_takes_its_stream(monkeypatch):
    async with scene(("w1", "west"), ("e1", "east")) as stage:
        for site in ("west", "east"):
            targets = stage.sites[site].router.data.egress.targets
            monkeypatch.setattr(targets, "ready", lambda service: [])
        with pytest.raises(trio.BrokenResourceError):
            await say(stage, b"anybody?")
        await no_flow_left(stage)
        (listener,) = stage.sites["source"].router.data.ingress.listeners
        assert listener.last_refusal


@contextlib.asynccontextmanager
async def fan_of(*, takes_answer=True):
    """Lend a fan-out that runs, with the ends of its client and of its one instance."""
    loop, (client, near), (far, instance) = EventLoop(), connected_pair(), narrow_pair()
    fan = FanOut(
        near, [Copy("one", far)], takes_answer=takes_answer, on_lost=lambda _: None, loop=loop
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.run)
        nursery.start_soon(fan.run)
        with client, instance:
            yield client, instance
        nursery.cancel_scope.cancel()
    loop.close()


async def test_what_an_instance_said_before_it_was_gone_is_heard_before_the_reset():
    async with fan_of() as (client, instance):
        instance.send(b"too large")
        close_with_reset(instance)
        with contextlib.suppress(OSError):
            for _ in range(10):
                client.send(b"much")
                await trio.sleep(0)
        assert (await read_to_the_end(client))[0] == b"too large"


async def test_what_a_client_said_before_it_was_gone_is_copied_before_the_reset():
    async with fan_of() as (client, instance):
        instance.send(b"an answer that nobody takes")
        client.send(b"quit")
        close_with_reset(client)
        instance.send(b"and another one")
        assert await read_to_the_end(instance) == (b"quit", True)


async def test_a_slow_instance_gets_what_a_client_said_before_its_reset():
    async with fan_of() as (client, instance):
        assert client.send(DATA[:50_000]) == 50_000
        close_with_reset(client)
        assert await read_to_the_end(instance) == (DATA[:50_000], True)


async def test_those_that_are_too_slow_for_a_moment_get_everything():
    """The pace is that of the slowest, as long as it makes room in time."""
    limits = Limits(max_copy_kept=1000, copy_room=500)
    near, client = connected_pair()
    ends = [connected_pair() for _ in range(2)]
    for end in (near, client, *(each for pair in ends for each in pair)):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, 4096)
    lost: list[Copy] = []
    copies = [Copy(str(number), pair[0]) for number, pair in enumerate(ends)]
    fan = FanOut(
        client, copies, takes_answer=False, on_lost=lost.append, loop=EventLoop(limits=limits)
    )
    heard = [b"", b""]

    async def read(number, pause):
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ends[number][1]))
        async for data in stream:
            heard[number] += data
            await trio.sleep(pause)
        await stream.aclose()

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fan.run)
            nursery.start_soon(read, 0, 0.0)
            nursery.start_soon(read, 1, 0.01)
            source = trio.SocketStream(trio.socket.from_stdlib_socket(near))
            await source.send_all(DATA[:100_000])
            await source.send_eof()
    assert heard == [DATA[:100_000]] * 2
    assert not lost
    await source.aclose()
