"""A relay passes on what either side says, then its end or its reset, in that order."""

import contextlib
import socket

import pytest
import trio

from lab.network import wait_until
from tests.router.reactor.test_lingering import TEXT, narrow_pair, read_to_the_end, running_loop
from van.router.reactor.limits import Limits
from van.router.reactor.relay import Relay
from van.router.reactor.sockets import close_with_reset, connected_pair
from van.router.reactor.splice import CopyDirection, SpliceDirection


@pytest.fixture(params=[SpliceDirection, CopyDirection])
def make_direction(request):
    return request.param


@contextlib.asynccontextmanager
async def relay_of(make_direction, make_pair=connected_pair, *, limits=None, ahead=b""):
    """Lend a relay that runs, with its loop, and the two programs' ends."""
    async with running_loop(limits) as loop:
        (first, near), (far, second) = make_pair(), make_pair()
        with first, second:
            relay = Relay(loop, near, far, make_direction, ahead=ahead)
            yield loop, relay, first, second
            relay.abort()


async def test_an_answer_before_a_reset_arrives_though_more_is_sent_to_who_gave_it(make_direction):
    async with relay_of(make_direction) as (_, relay, client, server):
        client.send(bytes(200_000))
        server.send(b"too large")
        close_with_reset(server)  # in the midst of it
        client.setblocking(True)
        with contextlib.suppress(OSError):
            await trio.to_thread.run_sync(client.sendall, bytes(1_000_000))
        client.setblocking(False)
        assert (await read_to_the_end(client))[0] == b"too large"
        await wait_until(lambda: relay.was_reset, "it was a reset")


async def test_what_waits_for_a_slow_reader_goes_ahead_of_the_reset(make_direction):
    async with running_loop() as loop:
        (client, near), (far, server) = narrow_pair(), connected_pair()
        with client:
            relay = Relay(loop, near, far, make_direction)
            assert server.send(TEXT[:60_000]) == 60_000
            close_with_reset(server)
            assert await read_to_the_end(client) == (TEXT[:60_000], True)
            assert relay.was_reset


async def test_a_reset_that_nobody_makes_room_for_overtakes_what_waits(make_direction):
    limits = Limits(stall_timeout=0.05)
    async with relay_of(make_direction, narrow_pair, limits=limits) as (
        loop,
        relay,
        client,
        server,
    ):
        with contextlib.suppress(BlockingIOError):
            while True:
                server.send(TEXT)
                await trio.sleep(0.01)
        close_with_reset(server)
        with trio.fail_after(10):
            await relay.ended()
        await wait_until(lambda: not loop.lingering, "nothing is left")
        assert (await read_to_the_end(client))[1]


@pytest.mark.epoll("nothing else tells of a reset while nothing is read")
async def test_a_reset_after_an_end_is_passed_on_behind_it(make_direction):
    async with relay_of(make_direction) as (_, relay, client, server):
        server.send(b"bye")
        server.shutdown(socket.SHUT_WR)
        assert await read_to_the_end(client) == (b"bye", False)
        client.send(b"who?")
        await wait_until(lambda: relay.meter()[0] == 4, "the server has it")
        close_with_reset(server)
        with trio.fail_after(10):
            await relay.ended()
        assert relay.was_reset
        assert relay.first_end == 1


async def test_what_was_said_ahead_goes_first(make_direction):
    async with relay_of(make_direction, ahead=b"first ") as (_, relay, client, server):
        client.send(b"and then")
        client.shutdown(socket.SHUT_WR)
        assert await read_to_the_end(server) == (b"first and then", False)
        assert relay.meter() == (14, 0)


async def test_an_answer_is_heard_from_who_takes_nothing_of_what_was_said_ahead(make_direction):
    async with running_loop() as loop:
        (client, near), (far, server) = connected_pair(), connected_pair()
        with client:
            server.send(b"busy")
            close_with_reset(server)
            Relay(loop, near, far, make_direction, ahead=b"hello")
            assert await read_to_the_end(client) == (b"busy", True)
