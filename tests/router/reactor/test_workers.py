"""Flows that last are moved by other threads, and what is left of them comes back."""

import contextlib
import math
import os
import threading

import pytest
import trio

from lab.network import wait_until
from tests.router.conftest import passage
from van.router.flow.stream import FlowStream
from van.router.reactor import loop as reactor
from van.router.reactor import workers
from van.router.reactor.loop import EventLoop
from van.router.reactor.workers import MAX_WITH_GIL, Workers, thread_count

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "eventfd"), reason="needs eventfd"),
    pytest.mark.epoll("loops of other threads are called by an eventfd in it"),
]


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(reactor, "SAMPLE", 1)
    monkeypatch.setattr(workers, "BULK", 0.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


async def echo(stream):
    async with stream:
        with contextlib.suppress(trio.BrokenResourceError):
            async for data in stream:
                await stream.send_all(data)


def threads():
    return [each for each in threading.enumerate() if each.name.startswith("loop-")]


def carriers(site):
    return [flow.carrying for flow in site.router.flows._live if flow.carrying is not None]


def is_elsewhere(carrier):
    assert isinstance(carrier, FlowStream)
    return carrier._loop is not carrier._loop.home


async def move(client, way):
    """Use the first flow until another thread has it, at both ends."""
    with trio.fail_after(10):
        while not all(is_elsewhere(carriers(each)[0]) for each in (way.ingress, way.egress)):
            await exchange(client, 1 << 20)


async def exchange(client, size=1):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, bytes(size))
        while size:
            size -= len(await client.receive_some(size))


@contextlib.asynccontextmanager
async def moved_flow(way):
    """Open a flow, and lend it once other threads have it."""
    async with await way.connect() as client:
        await exchange(client)
        await move(client, way)
        yield client


async def test_a_flow_that_lasts_goes_to_another_thread_and_its_channel_comes_back():
    async with passage("neighbor", echo) as way:
        pool = way.ingress.router.data.channels.pools.pool(way.egress.name)
        for _ in range(3):
            async with moved_flow(way) as client:
                assert threads()
                assert way.ingress.router.flows.statuses(1)[0].bytes_in > 0
                await client.send_eof()
                assert await client.receive_some(1) == b""
            await wait_until(lambda: not len(way.egress.router.flows), "the flow has ended")
            await wait_until(lambda: pool.in_use == 1, "the channel is back, and the bundle there")
            assert pool.size
            assert all(each._loop is way.ingress.router.data.loop for each in pool._idle)


async def test_a_flow_in_another_thread_ends_with_its_link():
    async with passage("neighbor", echo) as way:
        async with moved_flow(way) as client:
            way.ingress.router.data.channels.table.abort(way.egress.name, "the link is gone")
            with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
                await client.receive_some(1)
        await wait_until(lambda: not len(way.ingress.router.flows), "the flow has ended")
        await wait_until(lambda: not len(way.egress.router.flows), "the flow has ended")
        assert way.ingress.router.flows.reset == 1


async def test_a_router_that_stops_breaks_off_what_other_threads_move_and_ends_them():
    async with passage("neighbor", echo) as way:
        async with moved_flow(way) as client:
            for site in (way.ingress, way.egress):
                site.scope.cancel()
            with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
                await client.receive_some(1)
            await wait_until(lambda: not threads(), "the threads have ended")
        for site in (way.ingress, way.egress):
            assert not len(site.router.flows)


class Spy:
    """Something that can be moved, and remembers where to."""

    def __init__(self) -> None:
        self.loops: list[EventLoop] = []
        self.seen: tuple[float, int] | None = (0.0, 0)
        self.passed = 0

    def bytes_passed(self) -> int:
        return self.passed

    def move_to(self, loop: EventLoop) -> None:
        self.loops.append(loop)


async def test_what_is_busy_goes_to_the_thread_that_is_least_so(monkeypatch):
    # What the threads are found to have done meanwhile would count as well.
    monkeypatch.setattr(workers, "LOOK_INTERVAL", math.inf)
    home = EventLoop()
    others = Workers(home, 2)
    spies = [Spy() for _ in range(10)]
    for spy in spies:
        others.place(spy)
    counts = [sum(each.loops == [worker.loop] for each in spies) for worker in others._workers]
    assert counts == [5, 5]
    first, second = others._workers
    first.loop.busy_seconds += 1e6
    monkeypatch.setattr(workers, "LOOK_INTERVAL", 0.0)
    others.place(late := Spy())
    assert late.loops == [second.loop]
    others.close()
    home.close()
    assert not threads()


async def test_a_flow_is_moved_only_once_it_is_seen_to_have_much_to_carry(monkeypatch):
    monkeypatch.setattr(workers, "_has_gil", lambda: True)
    monkeypatch.setattr(workers, "BULK", 1e6)
    clock = iter([10.0, 10.5, 11.0])
    monkeypatch.setattr("van.router.reactor.workers.time.perf_counter", lambda: next(clock))
    home = EventLoop()
    others = Workers(home, 1)
    spy = Spy()
    spy.seen = None
    for passed, is_moved in ((900_000, False), (1_399_999, False), (1_899_999, True)):
        spy.passed = passed
        others.place(spy)
        assert bool(spy.loops) == is_moved
    monkeypatch.undo()
    others.close()
    home.close()


async def test_without_the_interpreters_lock_every_flow_that_lasts_is_moved(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    monkeypatch.setattr(workers, "BULK", 1e6)
    home = EventLoop()
    monkeypatch.setattr(workers, "_has_gil", lambda: True)
    assert thread_count(home) == MAX_WITH_GIL
    monkeypatch.setattr(workers, "_has_gil", lambda: False)
    assert thread_count(home) == 5
    others = Workers(home, 1)
    others.place(spy := Spy())
    assert len(spy.loops) == 1
    others.close()
    home.close()


async def test_a_function_is_called_in_the_thread_of_the_loop_that_it_is_posted_to():
    home = EventLoop()
    others = Workers(home, 1)
    others.place(spy := Spy())
    (other,) = spy.loops
    seen: list[int] = []

    def note() -> None:
        seen.append(threading.get_ident())
        home.call(lambda: seen.append(threading.get_ident()))

    other.call(note)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(home.run)
        await wait_until(lambda: len(seen) == 2, "both were called")
        nursery.cancel_scope.cancel()
    assert seen[0] != threading.get_ident()
    assert seen[1] == threading.get_ident()
    others.close()
    home.close()


def test_there_are_no_threads_where_loops_can_not_call_each_other(monkeypatch):
    home = EventLoop()
    assert thread_count(home) == 2
    with monkeypatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        assert thread_count(home) == 0
    monkeypatch.delattr(os, "eventfd")
    assert thread_count(home) == 0
    home.close()


async def test_a_defect_in_another_thread_ends_its_flow_alone(monkeypatch, caplog):
    async with passage("neighbor", echo) as way:
        async with await way.connect() as client, await way.connect() as other:
            for each in (client, other):
                await exchange(each)
            await move(client, way)
            (first, _) = carriers(way.ingress)
            monkeypatch.setattr(first, "_read", lambda _: 1 / 0, raising=False)
            await client.send_all(b"x")
            with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
                await client.receive_some(1)
            await exchange(other)
        assert "ZeroDivisionError" in caplog.text
