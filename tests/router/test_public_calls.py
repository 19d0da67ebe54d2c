"""Traffic goes both ways without the calls of OpenSSL that are no public API, only slower."""

import os

import pytest
import trio

from tests.router.conftest import passage
from van.tls.native import AVAILABILITY

SIZE = 300_000
"""Bytes: more than the records and buffers that are on the way at once."""


@pytest.fixture(autouse=True)
def without_native_calls(monkeypatch):
    monkeypatch.setattr(AVAILABILITY, "trouble", "taken away")
    monkeypatch.setattr(AVAILABILITY, "native", None)


async def echo(stream):
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def test_small_messages_are_answered(placement):
    async with passage(placement, echo) as way, await way.connect() as client:
        for number in range(20):
            message = b"%d" % number
            await client.send_all(message)
            assert await client.receive_some(len(message)) == message


async def test_much_goes_both_ways_at_once_and_the_end_arrives(placement):
    data = os.urandom(SIZE)
    async with (
        passage(placement, echo) as way,
        await way.connect() as client,
        trio.open_nursery() as nursery,
    ):

        async def send():
            await client.send_all(data)
            await client.send_eof()

        nursery.start_soon(send)
        assert b"".join([part async for part in client]) == data


async def test_a_target_that_does_not_read_holds_the_client_back(placement):
    begin = trio.Event()

    async def late(stream):
        async with stream:
            await begin.wait()
            got = b"".join([part async for part in stream])
            await stream.send_all(b"%d" % len(got))

    async with passage(placement, late) as way, await way.connect() as client:
        sent = 0
        with trio.move_on_after(0.3):
            while True:
                sent += await client.socket.send(bytes(65536))
        assert sent < 64 << 20
        begin.set()
        await client.send_eof()
        assert b"".join([part async for part in client]) == b"%d" % sent
