"""A defect in one handler ends what it was for, and nothing else."""

import contextlib
import socket

import pytest
import trio

from van.router.reactor import poller
from van.router.reactor.loop import EventLoop
from van.router.reactor.poller import READ, WRITE, SelectorPoller
from van.router.reactor.relay import Relay
from van.router.reactor.splice import CopyDirection, SpliceDirection


@pytest.fixture(params=[poller.open_poller, SelectorPoller])
async def loop(request, nursery):
    it = EventLoop(request.param())
    nursery.start_soon(it.run)
    yield it
    nursery.cancel_scope.cancel()
    it.close()


def pair():
    ends = socket.socketpair()
    for each in ends:
        each.setblocking(False)
    return ends


async def test_a_socket_that_is_not_watched_any_more_is_not_reported(loop):
    near, far = pair()
    with near, far:
        seen: list[int] = []
        watch = loop.watch(near.fileno(), READ, seen.append)
        far.send(b"x")
        while not seen:
            await trio.sleep(0)
        assert seen[-1] & READ
        watch.suspend()
        seen.clear()
        for _ in range(20):
            await trio.sleep(0)
        assert not seen
        watch.set(WRITE)
        while not seen:
            await trio.sleep(0)
        watch.close()
        watch.close()
        assert not loop.watches


@pytest.mark.parametrize("is_suspended", [False, True])
async def test_a_handler_that_fails_is_told_once_and_the_loop_goes_on(loop, is_suspended):
    near, far = pair()
    other, peer = pair()
    told: list[str] = []

    def fail(mask):
        if is_suspended:
            watch.suspend()
        raise ZeroDivisionError

    with near, far, other, peer:
        watch = loop.watch(near.fileno(), READ, fail, told.append)
        far.send(b"x")
        while not told:
            await trio.sleep(0)
        seen: list[int] = []
        healthy = loop.watch(other.fileno(), READ, seen.append)
        peer.send(b"x")
        while not seen:
            await trio.sleep(0)
        healthy.close()
        watch.close()
        assert len(told) == 1
        assert not loop.watches


class Broken(CopyDirection):
    """Fails as no network does."""

    def move(self):
        raise ZeroDivisionError


async def test_a_relay_whose_handler_fails_ends(loop):
    near, far = pair()
    other, peer = pair()
    relay = Relay(loop, near, other, Broken)
    with far, peer:
        far.send(b"x")
        with trio.fail_after(5):
            await relay.ended()
        assert relay.was_reset
        assert near.fileno() == other.fileno() == -1


@pytest.mark.parametrize("make_direction", [SpliceDirection, CopyDirection])
async def test_a_relay_gives_everything_back(loop, make_direction):
    near, far = pair()
    other, peer = pair()
    relay = Relay(loop, near, other, make_direction)
    with far, peer:
        far.send(b"question")
        far.shutdown(socket.SHUT_WR)
        await trio.lowlevel.wait_readable(peer)
        assert peer.recv(100) == b"question"
        peer.send(b"answer")
        peer.shutdown(socket.SHUT_WR)
        await trio.lowlevel.wait_readable(far)
        assert far.recv(100) == b"answer"
        with trio.fail_after(5):
            await relay.ended()
    assert not relay.was_reset
    assert relay.meter() == (8, 6)
    assert not loop.watches


async def test_what_is_to_be_done_at_a_pause_is_done_once_and_a_defect_in_it_harms_nobody(
    loop, caplog
):
    near, far = pair()
    with near, far:
        calls: list[str] = []

        def handle(_mask: int) -> None:
            near.recv(10)
            loop.at_pause(lambda: 1 / 0)
            loop.at_pause(lambda: calls.append("pause"))
            calls.append("handler")

        watch = loop.watch(near.fileno(), READ, handle)
        for count in (1, 2):
            far.send(b"x")
            while calls.count("pause") < count:
                await trio.sleep(0)
        assert calls == ["handler", "pause"] * 2
        assert "ZeroDivisionError" in caplog.text
        watch.close()


async def test_what_is_to_be_done_at_the_end_of_a_turn_comes_after_all_handlers(loop, caplog):
    calls: list[str] = []
    with contextlib.ExitStack() as stack:
        watches = []
        for _ in range(3):
            near, far = map(stack.enter_context, pair())

            def handle(_mask: int, near=near) -> None:
                near.recv(10)
                loop.at_turn_end(lambda: 1 / 0)
                loop.at_turn_end(lambda: calls.append("end"))
                calls.append("handler")

            watches.append(loop.watch(near.fileno(), READ, handle))
            far.send(b"x")
        while len(calls) < 6:
            await trio.sleep(0)
        assert calls == ["handler"] * 3 + ["end"] * 3
        assert "ZeroDivisionError" in caplog.text
        for each in watches:
            each.close()


async def test_a_task_may_ask_for_what_is_done_when_it_awaits_next(loop):
    calls: list[int] = []
    for number in range(3):
        loop.at_turn_end(lambda number=number: calls.append(number))
    assert not calls
    while len(calls) < 3:
        await trio.sleep(0)
    assert calls == [0, 1, 2]


async def test_a_socket_may_be_watched_later(loop):
    near, far = pair()
    with near, far:
        seen: list[int] = []
        watch = loop.watch(near.fileno(), None, seen.append)
        far.send(b"x")
        for _ in range(20):
            await trio.sleep(0)
        assert not seen
        watch.set(READ)
        while not seen:
            await trio.sleep(0)
        watch.close()
        loop.watch(near.fileno(), None, seen.append).close()
        assert not loop.watches
