"""A transit site passes ciphertext on: it can't read it, and can't change it unnoticed."""

import contextlib

import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from van.router.reactor.splice import CopyDirection

SECRET = b"the payload that nobody on the way may read "
ADDRESS = "quite-a-secret-name:7"


class Recorder(CopyDirection):
    """Passes everything on, and keeps a copy of it."""

    seen = bytearray()

    def see(self, data):
        self.seen += data
        return data


class Flipper(CopyDirection):
    """Changes one bit of the record that is under way, once it is told to."""

    is_armed = False

    def see(self, data):
        # No handshake of a spare channel has as much.
        if not type(self).is_armed or len(data) < 3000:
            return data
        type(self).is_armed = False
        changed = bytearray(data)
        changed[len(changed) // 2] ^= 1
        return memoryview(changed)


async def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        more = await stream.receive_some(count - len(data))
        assert more, "ended too early"
        data += more
    return data


async def read_into(received, stream):
    async for data in stream:
        received.extend(data)


@contextlib.asynccontextmanager
async def line_with(direction, serve):
    async with trio.open_nursery() as nursery, network() as net:
        west, hub, east = await net.line("west", "hub", "east", hub=direction)
        target = free_port()
        east.claim(ADDRESS, target)
        await nursery.start(trio.serve_tcp, serve, target)
        port = await west.reach(ADDRESS)
        yield port, hub
        nursery.cancel_scope.cancel()


async def test_a_transit_site_sees_neither_payload_nor_names():
    async def answer(stream):
        async with stream:
            assert await read_exactly(stream, len(SECRET) * 100) == SECRET * 100
            await stream.send_all(SECRET[::-1] * 100)

    Recorder.seen.clear()
    async with line_with(Recorder, answer) as (port, hub):
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(SECRET * 100)
            assert await read_exactly(client, len(SECRET) * 100) == SECRET[::-1] * 100
        seen = bytes(Recorder.seen)
        assert hub.router.data.loop.relayed_bytes == len(seen)
        assert len(seen) > 2 * len(SECRET) * 100, "the flow did not pass here"
        for told in (SECRET, SECRET[::-1], b"secret", b"payload", b"west", b"east", b"spiffe"):
            assert told not in seen


async def test_a_changed_byte_ends_the_flow_at_both_ends():
    target_saw = trio.Event()
    received = bytearray()

    async def expect_reset(stream):
        with pytest.raises(trio.BrokenResourceError):
            await read_into(received, stream)
        target_saw.set()

    Flipper.is_armed = False
    async with line_with(Flipper, expect_reset) as (port, _):
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(b"unharmed")
            await wait_until(lambda: bytes(received) == b"unharmed", "the first bytes arrive")
            Flipper.is_armed = True
            await client.send_all(SECRET * 100)
            with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
                await read_exactly(client, 1)
        with trio.fail_after(5):
            await target_saw.wait()
        assert bytes(received) == b"unharmed", "what was changed must not arrive"
