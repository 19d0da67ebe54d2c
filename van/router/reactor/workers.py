"""Threads beside trio's that move the bytes of busy flows.

A flow begins with the loop of trio's thread. One with much to carry is handed to the least busy of
a few other loops, and what is left of it, a channel, comes back when it has ended. So more
processors are put to work, and what is heavy does not hold up what is light.

Small messages stay where they are: what one takes is Python more than system calls and OpenSSL, and
where only one thread at a time runs Python, more threads make that slower and not faster.
"""

import os
import sys
import threading
import time
from typing import Final

import attrs

from van.router.reactor.loop import EventLoop
from van.router.reactor.watch import Movable

MAX_WITH_GIL: Final = 2
"""Threads where only one at a time runs Python: that pays as long as others are in system calls."""
BULK: Final = 25e6
"""Bytes per second from which on a flow is moved, where only one thread at a time runs Python."""
EXPECTED_LOAD: Final = 0.01
"""What a flow counts for until the next look, so that several do not all go to one thread."""
NOT_STARTED: Final = 0
"""The identity of no thread."""
LOOK_INTERVAL: Final = 0.02
"""Seconds over which it is seen who is busy."""


def thread_count(loop: EventLoop) -> int:
    """Return how many other threads pay on this system; none where loops can't call each other."""
    if not loop.has_epoll or not hasattr(os, "eventfd"):
        return 0
    processors = os.cpu_count() or 1
    if processors == 1:
        return 0
    return min(processors, MAX_WITH_GIL) if _has_gil() else processors


def _has_gil() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


@attrs.define
class _Worker:
    loop: EventLoop
    thread: threading.Thread
    busy_at_last_look: float = 0.0
    """The loop's `busy_seconds` then."""
    load: float = 0.0
    """Share of the time in which it moved bytes, of late, and what was given to it since."""


class Workers:
    """Starts the threads when the first flow is busy, and finds a place for each."""

    def __init__(self, home: EventLoop, count: int) -> None:
        self._home = home
        self._count = count
        self._least_rate = BULK if _has_gil() else 0.0
        self._workers: list[_Worker] = []
        self._looked_at = 0.0
        if count:
            home.spread = self.place

    def place(self, flow: Movable[EventLoop]) -> None:
        """Have a flow moved by the thread that is least busy, if it has had enough to carry since
        it was looked at last."""
        now, passed = time.perf_counter(), flow.bytes_passed()
        seen, flow.seen = flow.seen, (now, passed)
        if seen is None or passed - seen[1] < self._least_rate * (now - seen[0]):
            return
        if not self._workers:
            self._start()
        self._look(now)
        worker = min(self._workers, key=lambda each: each.load)
        worker.load += EXPECTED_LOAD
        flow.move_to(worker.loop)

    def close(self) -> None:
        """End the threads; what they moved is broken off before."""
        for worker in self._workers:
            worker.loop.stop()
        for worker in self._workers:
            worker.thread.join()
            worker.loop.close()
        self._workers.clear()

    def _start(self) -> None:
        self._home.expect_posts()
        for number in range(self._count):
            loop = EventLoop(
                home=self._home,
                limits=self._home.limits,
                clock=self._home.clock,
                defects=self._home.defects,
                thread=NOT_STARTED,
            )
            loop.expect_posts()
            thread = threading.Thread(
                target=loop.run_in_thread, name=f"loop-{number + 1}", daemon=True
            )
            thread.start()
            self._workers.append(_Worker(loop, thread))

    def _look(self, now: float) -> None:
        elapsed = now - self._looked_at
        if elapsed < LOOK_INTERVAL:
            return
        self._looked_at = now
        for worker in self._workers:
            busy = worker.loop.busy_seconds
            worker.load = (busy - worker.busy_at_last_look) / elapsed
            worker.busy_at_last_look = busy
