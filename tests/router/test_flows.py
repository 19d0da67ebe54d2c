"""TCP is carried exactly, wherever the client and its target are."""

import contextlib
import hashlib
import os
import random
import resource
import socket
import struct
from pathlib import Path

import pytest
import trio

from lab.network import network, wait_until
from tests.router.conftest import passage
from van.router.egress.stream import EgressStream
from van.router.ingress.stream import IngressStream
from van.router.reactor import loop as reactor
from van.router.reactor import workers

MEBIBYTE = 1 << 20


@pytest.fixture(params=["one-loop", "threads"], autouse=True)
def loops(request, monkeypatch):
    """Who moves the bytes: trio's thread alone, or others as soon as a flow has begun."""
    if request.param == "one-loop":
        monkeypatch.setattr(workers, "_has_gil", lambda: True)
        monkeypatch.setattr(workers, "MAX_WITH_GIL", 0)
    else:
        monkeypatch.setattr(reactor, "SAMPLE", 1)
        monkeypatch.setattr(workers, "_has_gil", lambda: False)


async def echo(stream):
    async with stream:
        async for data in stream:
            await stream.send_all(data)


def reset(stream):
    """Close a connection so that the peer sees a reset."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


async def read_all(stream):
    return b"".join([data async for data in stream])


async def send_and_end(stream, data):
    await stream.send_all(data)
    await stream.send_eof()


async def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        more = await stream.receive_some(count - len(data))
        assert more, f"ended after {len(data)} of {count} bytes"
        data += more
    return data


async def test_what_a_client_sends_comes_back(placement, make_direction):
    async with (
        passage(placement, echo, make_direction=make_direction) as way,
        await way.connect() as client,
    ):
        await client.send_all(b"ping")
        assert await read_exactly(client, 4) == b"ping"


async def test_a_target_that_speaks_first_is_heard(placement):
    async def greet(stream):
        async with stream:
            await stream.send_all(b"220 ready\r\n")
            await read_all(stream)

    async with passage(placement, greet) as way, await way.connect() as client:
        assert await read_exactly(client, 11) == b"220 ready\r\n"


async def test_a_client_may_end_its_half_and_still_be_answered(placement):
    async def answer_at_the_end(stream):
        async with stream:
            request = await read_all(stream)
            await stream.send_all(request.upper())

    async with passage(placement, answer_at_the_end) as way, await way.connect() as client:
        await send_and_end(client, b"question")
        assert await read_all(client) == b"QUESTION"


async def test_a_target_may_end_its_half_and_still_be_told(placement):
    told = trio.Event()

    async def end_then_listen(stream):
        async with stream:
            await send_and_end(stream, b"that is all")
            assert await read_all(stream) == b"thank you"
            told.set()

    async with passage(placement, end_then_listen) as way, await way.connect() as client:
        assert await read_all(client) == b"that is all"
        await send_and_end(client, b"thank you")
        with trio.fail_after(5):
            await told.wait()


async def test_a_reset_by_the_client_is_a_reset_at_the_target(placement):
    seen = trio.Event()

    async def expect_reset(stream):
        await stream.send_all(b"x")
        with pytest.raises(trio.BrokenResourceError):
            await read_all(stream)
        seen.set()

    async with passage(placement, expect_reset) as way:
        client = await way.connect()
        await read_exactly(client, 1)
        reset(client)
        with trio.fail_after(5):
            await seen.wait()


async def test_a_reset_by_the_target_is_a_reset_at_the_client(placement):
    async def reset_after_one_byte(stream):
        await read_exactly(stream, 1)
        reset(stream)

    async with passage(placement, reset_after_one_byte) as way, await way.connect() as client:
        await client.send_all(b"x")
        with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
            await read_all(client)


async def test_a_reset_in_mid_transfer_reaches_a_client_that_sends(placement):
    async def read_some_and_reset(stream):
        await read_exactly(stream, 100_000)
        reset(stream)

    async with passage(placement, read_some_and_reset) as way, await way.connect() as client:
        with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
            await client.send_all(bytes(64 * MEBIBYTE))


async def read_until_it_breaks(stream):
    data = b""
    with contextlib.suppress(trio.BrokenResourceError):
        async for more in stream:
            data += more
    return data


async def send_until_it_breaks(stream, count=64):
    with contextlib.suppress(trio.BrokenResourceError):
        for _ in range(count):
            await stream.send_all(bytes(65536))


async def test_what_a_server_says_before_it_closes_arrives_though_the_client_sends_on(placement):
    """It closes with something unread, so that its connection is reset."""

    async def turn_away(stream):
        await read_exactly(stream, 2048)
        await stream.send_all(b"413 too large")
        await stream.aclose()

    async with passage(placement, turn_away) as way:
        for _ in range(5):
            async with await way.connect() as client:
                await send_until_it_breaks(client)
                assert await read_until_it_breaks(client) == b"413 too large"
        await wait_until(lambda: not len(way.egress.router.flows), "every flow has ended")


async def test_what_a_client_says_before_it_closes_arrives_though_the_server_sends_on(placement):
    send, heard = trio.open_memory_channel(10)

    async def talk(stream):
        async with trio.open_nursery() as nursery, stream:
            nursery.start_soon(send_until_it_breaks, stream)
            await send.send(await read_until_it_breaks(stream))
            nursery.cancel_scope.cancel()

    async with passage(placement, talk) as way:
        for _ in range(5):
            client = await way.connect()
            await read_exactly(client, 100_000)
            await client.send_all(b"quit")
            await client.aclose()
            with trio.fail_after(10):
                assert await heard.receive() == b"quit"
        await wait_until(lambda: not len(way.ingress.router.flows), "every flow has ended")


@pytest.mark.epoll("nothing else tells of a reset while nothing is read")
@pytest.mark.slow("fills every buffer on the way")
async def test_a_client_that_resets_while_its_target_is_stalled_is_missed_by_the_target(placement):
    seen = trio.Event()
    stalled = trio.Event()

    async def stall(stream):
        stalled.set()
        # Not reading: only the reset itself can tell.
        while True:
            await trio.sleep(0.02)
            if stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                break
        seen.set()
        await stream.aclose()

    async with passage(placement, stall) as way:
        client = await way.connect()
        await stalled.wait()
        with trio.move_on_after(0.5):
            while True:
                await client.send_all(bytes(65536))
        reset(client)
        with trio.fail_after(8):
            await seen.wait()


@pytest.mark.slow("many bytes, each on its own")
async def test_one_byte_at_a_time_arrives_in_order(placement):
    text = bytes(random.Random(1).randrange(256) for _ in range(500))
    async with (
        passage(placement, echo) as way,
        await way.connect() as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_send_bytewise, client, text)
        assert await read_exactly(client, len(text)) == text


async def _send_bytewise(stream, data):
    for index in range(len(data)):
        await stream.send_all(data[index : index + 1])


@pytest.mark.scale
async def test_64_mebibytes_pass_both_ways_at_once(placement):
    chunk = os.urandom(MEBIBYTE)
    expected = hashlib.sha256(chunk * 64).hexdigest()

    async def send_and_receive(stream):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_chunks, stream, chunk)
            assert await _digest(stream) == expected
        await stream.aclose()

    async with passage(placement, send_and_receive) as way:
        with trio.fail_after(60):
            await send_and_receive(await way.connect())


async def _send_chunks(stream, chunk):
    for _ in range(64):
        await stream.send_all(chunk)
    await stream.send_eof()


async def _digest(stream):
    digest = hashlib.sha256()
    async for data in stream:
        digest.update(data)
    return digest.hexdigest()


@pytest.mark.slow("many clients in a row")
async def test_clients_that_leave_at_once_do_no_harm(placement):
    async def echo_to_whoever_stays(stream):
        with contextlib.suppress(trio.BrokenResourceError):
            await echo(stream)

    async with passage(placement, echo_to_whoever_stays) as way:
        for index in range(60):
            client = await way.connect()
            if index % 2:
                reset(client)
            else:
                await client.aclose()
        async with await way.connect() as client:
            await client.send_all(b"still here")
            assert await read_exactly(client, 10) == b"still here"
        await wait_until(lambda: not len(way.ingress.router.flows), "every flow has ended")
        await wait_until(lambda: not len(way.egress.router.flows), "every flow has ended")


@pytest.mark.scale
async def test_hundreds_of_flows_live_at_once(placement):
    async with passage(placement, echo) as way, trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(_say_and_hear, way, b"%d" % number)


async def _say_and_hear(way, text):
    async with await way.connect() as client:
        await client.send_all(text)
        assert await read_exactly(client, len(text)) == text


@pytest.mark.slow("fills every buffer on the way")
def socket_buffers() -> int:
    """Return how much the system may let one TCP connection hold at its two ends."""
    limits = [Path(f"/proc/sys/net/ipv4/tcp_{each}mem") for each in ("r", "w")]
    return sum(int(each.read_text().split()[2]) for each in limits if each.exists())


async def test_a_slow_reader_stalls_the_sender(placement):
    """What is under way is bounded by socket buffers, however much there is to send."""
    sent = 0

    async def send_for_ever(stream):
        nonlocal sent
        async with stream:
            with contextlib.suppress(OSError):
                while True:
                    sent += await stream.socket.send(bytes(65536))

    async with passage(placement, send_for_ever) as way:
        client = await way.connect()
        await read_exactly(client, 1)
        last = -1
        while sent != last:
            last = sent
            await trio.sleep(0.5)
        assert sent < 64 * MEBIBYTE or sent < 4 * socket_buffers()  # of four connections at most
        await client.aclose()


async def test_channels_are_used_again():
    async with passage("transit", echo) as way:
        for _ in range(20):
            await _say_and_hear(way, b"x")
        await wait_until(lambda: not len(way.ingress.router.flows), "every flow has ended")
        assert way.transit is not None
        relays = way.transit.router.data.forwarding.relays
        # For a moment there may be more, over which authorities copy each other's audit trails.
        await wait_until(lambda: relays.count <= 4, "no flow has a relay of its own")


@pytest.mark.parametrize("target", ["localhost", "0.0.0.0"])
async def test_a_target_that_takes_some_waiting_to_connect_to_is_served(target):
    """A name has to be looked up; an address that is not loopback's may be far away."""
    async with trio.open_nursery() as nursery, network() as net:
        west, east = await net.line("west", "east")
        listeners = await nursery.start(trio.serve_tcp, echo, 0)
        await east.expose("echo:7", f"{target}:{listeners[0].socket.getsockname()[1]}")
        port = await west.reach("echo:7")
        for _ in range(3):
            async with await trio.open_tcp_stream("127.0.0.1", port) as client:
                await client.send_all(b"first")
                await client.send_eof()
                assert await read_all(client) == b"first"
        await wait_until(lambda: not len(east.router.flows), "every flow has ended")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("target", ["127.0.0.1", "localhost"])
async def test_a_defect_at_the_egress_ends_that_flow_alone(target, monkeypatch, caplog):
    """It is met by a handler of the loop's, or by the task that looks up a name."""
    start = EgressStream.start

    async def echo_until_reset(stream):
        with contextlib.suppress(trio.BrokenResourceError):
            await echo(stream)

    def fail(carrier, **options):
        start(carrier, **options)
        raise ZeroDivisionError

    async with trio.open_nursery() as nursery, network() as net:
        west, east = await net.line("west", "east")
        listeners = await nursery.start(trio.serve_tcp, echo_until_reset, 0)
        await east.expose("echo:7", f"{target}:{listeners[0].socket.getsockname()[1]}")
        port = await west.reach("echo:7")
        monkeypatch.setattr(EgressStream, "start", fail)
        with pytest.raises((OSError, trio.BrokenResourceError)):
            async with await trio.open_tcp_stream("127.0.0.1", port) as client:
                await client.receive_some(1)
        monkeypatch.setattr(EgressStream, "start", start)
        assert "ZeroDivisionError" in caplog.text
        await wait_until(lambda: not len(east.router.flows), "the flow has ended")
        assert [each.flows for each in east.router.data.egress.targets.connectors] == [0]
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(b"x")
            assert await client.receive_some(1) == b"x"
        nursery.cancel_scope.cancel()


async def test_a_client_that_can_not_be_accepted_now_is_accepted_later():
    async with passage("neighbor", echo) as way:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        async with trio.SocketStream(trio.socket.socket()) as client:
            # What is open stays open, but the router gets no further descriptor.
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
            try:
                await client.socket.connect(("127.0.0.1", way.port))
                await trio.sleep(0.2)
                assert not len(way.ingress.router.flows)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            await client.send_all(b"late")
            assert await read_exactly(client, 4) == b"late"


async def test_a_defect_that_one_flow_meets_ends_that_flow_alone(monkeypatch, caplog):
    async with passage("neighbor", echo) as way:

        def fail(*args, **options):
            raise ZeroDivisionError

        ranking = way.ingress.router.data.ingress.ranking
        async with await way.connect() as other:
            await other.send_all(b"1")
            assert await read_exactly(other, 1) == b"1"
            for place, name in ((ranking, "best"), (IngressStream, "start")):
                monkeypatch.setattr(place, name, fail)
                with pytest.raises((OSError, trio.BrokenResourceError)):  # or even on connecting
                    async with await way.connect() as client:
                        await client.receive_some(1)
                monkeypatch.undo()
            await other.send_all(b"2")
            assert await read_exactly(other, 1) == b"2"
            await _say_and_hear(way, b"x")
        assert "ZeroDivisionError" in caplog.text
        await wait_until(lambda: not len(way.ingress.router.flows), "every flow has ended")
        assert not ranking.balancer.outstanding(("tcp", "target:7"))
        assert not way.ingress.router.data.channels.bundles.pool(way.egress.name).flows
