"""What was sent before a reset arrives before it, at the pace of who reads it, or not at all."""

import contextlib
import socket

import pytest
import trio

from lab.network import wait_until
from van.router.reactor.limits import Limits
from van.router.reactor.lingering import reset_behind
from van.router.reactor.loop import EventLoop
from van.router.reactor.sockets import connected_pair

TEXT = bytes(range(256)) * 4096


@contextlib.asynccontextmanager
async def running_loop(limits=None):
    loop = EventLoop(limits=limits or Limits())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.run)
        yield loop
        nursery.cancel_scope.cancel()
    loop.close()


def narrow_pair():
    """Return two ends of a connection that holds little."""
    ends = connected_pair()
    for end in ends:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, 4096)
    return ends


async def read_to_the_end(sock):
    """Return what came, and whether a reset came behind it."""
    data = b""
    with trio.fail_after(20):
        while True:
            await trio.lowlevel.wait_readable(sock)
            try:
                more = sock.recv(1024)
            except ConnectionResetError:
                return data, True
            if not more:
                return data, False
            data += more


async def test_what_does_not_fit_goes_ahead_of_the_reset():
    async with running_loop() as loop:
        near, far = narrow_pair()
        with far:
            reset_behind(loop, near, TEXT[:50_000])
            assert len(loop.lingering) == 1
            assert await read_to_the_end(far) == (TEXT[:50_000], True)
            await wait_until(lambda: not loop.lingering, "nothing is left")
            assert near.fileno() == -1
            assert not loop.watches


async def test_a_connection_with_nothing_on_its_way_is_reset_at_once():
    async with running_loop() as loop:
        near, far = connected_pair()
        with far:
            reset_behind(loop, near)
            assert near.fileno() == -1
            assert not loop.lingering


async def test_who_takes_nothing_is_reset_without_the_rest():
    async with running_loop(Limits(stall_timeout=0.05)) as loop:
        near, far = narrow_pair()
        with far:
            reset_behind(loop, near, TEXT)
            await wait_until(lambda: near.fileno() == -1, "it is given up")
            data, was_reset = await read_to_the_end(far)
            assert was_reset
            assert TEXT.startswith(data)
            assert len(data) < len(TEXT)


async def test_who_leaves_is_waited_for_no_more():
    async with running_loop() as loop:
        near, far = narrow_pair()
        reset_behind(loop, near, TEXT)
        far.close()
        await wait_until(lambda: not loop.lingering, "nothing is left")
        assert near.fileno() == -1


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
async def test_what_still_waits_when_the_loop_is_closed_is_reset(family):
    async with running_loop() as loop:
        near, far = narrow_pair() if family == socket.AF_INET else socket.socketpair()
        for each in (near, far):
            each.setblocking(False)
        reset_behind(loop, near, TEXT)
        assert loop.lingering
    assert near.fileno() == -1
    far.close()


async def test_there_is_room_for_so_many():
    async with running_loop(Limits(max_lingering=1)) as loop:
        pairs = [narrow_pair() for _ in range(2)]
        for near, _ in pairs:
            reset_behind(loop, near, TEXT)
        assert [near.fileno() == -1 for near, _ in pairs] == [False, True]
        for _, far in pairs:
            far.close()
