"""The readiness loops that move the bytes of all flows of a router.

The first of them belongs to trio's thread: one trio task waits on the poller's descriptor and then
calls the handlers of what is ready, in a tight loop and without further scheduling, for a bounded
slice of time; then trio's other tasks have their turn. Handlers never block and never await.

A turn of trio takes longer than to move a small message. So the loop lingers after it has moved
something: most of what comes next comes within a millisecond, and is moved without such a turn. A
handler that has given other tasks something to do says so with `yield_to_tasks`.

Other loops have a thread each and nothing else to do (`workers.py`). What is watched by a loop
belongs to its thread, and is handed to another loop's with `post` while none of its handlers runs.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final, Protocol

import attrs
import trio

from van.router.reactor.deadlines import DelayQueue
from van.router.reactor.limits import DEFAULT_LIMITS, Limits
from van.router.reactor.overdue import Overdue
from van.router.reactor.pipes import PipePool
from van.router.reactor.poller import READ, Poller, SelectorPoller, open_poller
from van.router.reactor.supervisor import DEFECT, Containment, Defects, Function
from van.router.reactor.watch import Fail, Handler, Movable, Watch, leave
from van.wire.framing import HEADER_SIZE

logger = logging.getLogger(__name__)

SLICE: Final = 0.005
"""Seconds of moving bytes before other tasks get a turn: far below a heartbeat interval."""
LINGER: Final = 0.001
"""Seconds to wait for more before other tasks get a turn; epoll counts in milliseconds."""
MAX_EVENTS: Final = 256
SAMPLE: Final = 32
"""Events after which the loop looks whose turn it is, to have another thread move a busy flow."""
BUFFER_SIZE: Final = 65536
SCHED_YIELD: Final[Callable[[], None] | None] = getattr(os, "sched_yield", None)
"""Gives the processor away for a moment, where the system can do that."""

_OF_LOOP: Final = "a function of the event loop"
"""What is told of a defect in one that was handed in."""


class Closing(Protocol):
    """What closes by itself, sooner or later."""

    def close(self) -> None:
        """Close it now."""


@attrs.define(eq=False)
class EventLoop:
    """Calls the handlers of ready sockets; holds what they share.

    A loop belongs to one thread: that of trio, in which `run` is a task, or one that is in
    `run_in_thread`. All but `post`, `call`, `call_later`, and `stop` is for that thread only, and a
    handler is called there, never two at a time. A handler must not block, and keeps no view of
    the buffer past its turn. One that raises is closed, and whatever owns it is told; the others
    go on. Cancelling `run` ends the turns and nothing else: `close` comes last, when nobody watches
    any more, and releases the poller and the pipes.
    """

    poller: Poller = attrs.field(factory=open_poller)
    watches: dict[int, Watch["EventLoop"]] = attrs.field(factory=dict)
    storage: bytearray = attrs.field(factory=lambda: bytearray(BUFFER_SIZE))
    """Scratch space for one read; nobody keeps a view of it past his own turn."""
    buffer: memoryview = attrs.field(init=False)
    """The same as a view."""
    has_epoll: bool = attrs.field(init=False)
    """Whether the poller is epoll, which forgets a closed socket and may be used by two threads."""
    payload: memoryview = attrs.field(init=False)
    """The same without room for a header in front."""
    relayed_bytes: int = 0
    busy_seconds: float = 0.0
    """Time that has gone into handlers, in a thread of its own."""
    limits: Limits = DEFAULT_LIMITS
    """The times and bounds of whatever works with the loop."""
    clock: Callable[[], float] = time.monotonic
    """Tells the time in seconds, for whatever works with the loop."""
    home: "EventLoop" = attrs.field(default=attrs.Factory(lambda self: self, takes_self=True))
    """The loop of trio's thread, this one or another."""
    spread: Callable[[Movable["EventLoop"]], None] | None = None
    """Finds another loop for what keeps this one busy, if there are others."""
    defects: Defects = attrs.field(factory=Defects)
    """Counts what handlers, and whatever works with the loop, have met."""
    pipes: PipePool = attrs.field(factory=PipePool)
    """Those through which relays move bytes."""
    lingering: dict[Closing, None] = attrs.field(factory=dict)
    """Sockets that are reset as soon as their peers have what was sent; `close` does it at once."""
    slices: int = 0
    """Counts how often other tasks have had their turn."""
    _handling: Watch["EventLoop"] | None = None
    """Whose handler is being called, or has raised."""
    _is_yielding: bool = False
    _is_stopping: bool = False
    _is_moving: bool = False
    """Whether handlers are being called, so that a turn ends soon."""
    _at_turn_end: list[Function] = attrs.field(factory=list)
    _at_pause: list[Function] = attrs.field(factory=list)
    _delays: DelayQueue = attrs.field(
        default=attrs.Factory(lambda self: DelayQueue(self.defects), takes_self=True)
    )
    answers: Overdue = attrs.field(init=False)
    """Those to whom another router owes a word."""
    notices: Overdue = attrs.field(init=False)
    """Those who owe one, and wait for a target."""
    _inbox: deque[Function] = attrs.field(factory=deque)
    _alarm: int | None = None
    """A descriptor that wakes the poller when something is posted; None until there are others."""
    _thread: int = attrs.field(factory=threading.get_ident)
    _events: int = 0
    _containment: Containment = attrs.field(init=False)

    @buffer.default
    def _buffer_default(self) -> memoryview:
        return memoryview(self.storage)

    @_containment.default
    def _containment_default(self) -> Containment:
        return self.defects.contain("a handler of the event loop", when=self._is_handling)

    def _is_handling(self) -> bool:
        return self._handling is not None

    @answers.default
    def _answers_default(self) -> Overdue:
        return Overdue(self._delays, self.limits.answer_deadline)

    @notices.default
    def _notices_default(self) -> Overdue:
        return Overdue(self._delays, self.limits.pending_interval)

    @has_epoll.default
    def _has_epoll_default(self) -> bool:
        return not isinstance(self.poller, SelectorPoller)

    @payload.default
    def _payload_default(self) -> memoryview:
        return self.buffer[HEADER_SIZE:]

    def watch(
        self, fd: int, mask: int | None, handler: Handler, fail: Fail = leave
    ) -> Watch["EventLoop"]:
        """Begin to call a handler with the events of a socket; with None for a mask, not yet.

        A handler that raises is not called again, and `fail` is called with a reason.
        """
        return Watch(self, fd, mask, handler, fail)

    async def run(self) -> None:
        """Move bytes until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._delays.run)
            while True:
                await trio.lowlevel.wait_readable(self.poller.fileno())
                self._run_slice()

    def run_in_thread(self) -> None:
        """Move bytes in a thread of its own until told to stop."""
        self._thread = threading.get_ident()
        self._is_moving = True
        while not self._is_stopping:
            with self._containment:
                self._move_in_thread()
            self._end_handling()

    def expect_posts(self) -> None:
        """Let other threads post functions from now on."""
        if self._alarm is None:
            self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self.poller.register(self._alarm, READ)

    def post(self, function: Function) -> None:
        """Have a function called in this loop's thread, between handlers; from any thread."""
        assert self._alarm is not None
        self._inbox.append(function)
        os.eventfd_write(self._alarm, 1)

    def call(self, function: Function) -> None:
        """Call a function in this loop's thread: at once if it is this one."""
        if threading.get_ident() == self._thread:
            function()
        else:
            self.post(function)

    def stop(self) -> None:
        """Let `run_in_thread` return, after what was posted before."""
        self.post(self._stop)

    def _stop(self) -> None:
        self._is_stopping = True

    def at_pause(self, function: Function) -> None:
        """Have a function called when nothing more is ready, or when others have their turn.

        Handlers may call this; elsewhere it would be called with the next event only.
        """
        self._at_pause.append(function)

    def at_turn_end(self, function: Function) -> None:
        """Have a function called when what is ready now has been handled, before the loop looks
        again: what many handlers have to say can go out together, and waits for nothing.

        For a handler, and for a task in trio's thread, which ends its turn with its next await.
        """
        if not self._at_turn_end and not self._is_moving:
            trio.lowlevel.current_trio_token().run_sync_soon(self._end_turn)
        self._at_turn_end.append(function)

    def call_later(self, delay: float, function: Function) -> None:
        """Have a function called in trio's thread after so many seconds; from any loop's thread.

        It can't be taken back: what it was for may be over by then.
        """
        home = self.home
        home.call(partial(home.add_delayed, delay, function))

    def add_delayed(self, delay: float, function: Function) -> None:
        """Do as `call_later` does, in trio's thread."""
        self._delays.add(delay, function)

    def yield_to_tasks(self) -> None:
        """Let other tasks have their turn as soon as what is ready now has been handled."""
        self._is_yielding = True

    def close(self) -> None:
        """Release the poller and the pipes, when nobody watches any more."""
        self._receive_posts()
        self._end_turn()
        self._do_at_pause()
        for each in list(self.lingering):
            each.close()
        self.poller.close()
        if self._alarm is not None:
            os.close(self._alarm)
        self.pipes.close()

    def _run_slice(self) -> None:
        self.slices += 1
        self._is_yielding = False
        self._is_moving = True
        with self._containment:
            self._move_until(time.perf_counter() + SLICE)
        if self._handling is not None:
            self._end_handling()
        self._do_at_pause()
        self._is_moving = False
        self._end_turn()

    def _move_until(self, deadline: float) -> None:
        spin, count = self.limits.spin, 1
        # Where much comes at a time, a sleep gathers more of it, and each costs less.
        while events := self._wait(spin if count == 1 else 0.0):
            count = len(events)
            self._handle(events)
            if self._at_turn_end:
                self._end_turn()
            self._events += count
            if self._events >= SAMPLE:
                self._sample(events)
            if self._is_yielding or time.perf_counter() > deadline:
                break

    def _wait(self, spin: float) -> list[tuple[int, int]]:
        """Return what is ready within `LINGER`: looked for first, and then slept for."""
        poll = self.poller.poll
        if spin and SCHED_YIELD is not None:
            if events := poll(0, MAX_EVENTS):
                return events
            until = time.perf_counter() + spin
            while time.perf_counter() < until:
                SCHED_YIELD()
                if events := poll(0, MAX_EVENTS):
                    return events
        return poll(LINGER, MAX_EVENTS)

    def _move_in_thread(self) -> None:
        poll = self.poller.poll
        while not self._is_stopping:
            events = poll(-1, MAX_EVENTS)
            began = time.perf_counter()
            self._handle(events)
            self._end_turn()
            self._do_at_pause()
            self.busy_seconds += time.perf_counter() - began

    def _handle(self, events: Iterable[tuple[int, int]]) -> None:
        """Call the handlers of what is ready.

        What one raises is contained around many of these calls, as a containment costs as much as
        to find a handler. What is left of the events is ready still, and is reported again.
        """
        watches, watch = self.watches, None
        try:
            for fd, mask in events:
                watch = watches.get(fd)
                if watch is not None:
                    watch.handler(mask)
                elif fd == self._alarm:
                    os.eventfd_read(fd)
                    self._receive_posts()
        except BaseException:
            self._handling = watch
            raise

    def _end_handling(self) -> None:
        """Call a handler no more that has raised, and tell its owner."""
        watch, self._handling = self._handling, None
        if watch is not None:
            watch.close()
            with self.defects.contain("the end of %r", watch.handler):
                watch.fail(DEFECT)

    def _sample(self, events: list[tuple[int, int]]) -> None:
        """Have whoever has a turn just now moved elsewhere, every so many events: most probably
        that is one of the busiest."""
        self._events = 0
        watch = self.watches.get(events[-1][0])
        if watch is not None and watch.part_of is not None and self.spread is not None:
            self.at_pause(partial(self.spread, watch.part_of))

    def _receive_posts(self) -> None:
        self.defects.call_each(_taken_from(self._inbox), _OF_LOOP)

    def _end_turn(self) -> None:
        while functions := self._at_turn_end:
            self._at_turn_end = []
            self.defects.call_each(functions, _OF_LOOP)

    def _do_at_pause(self) -> None:
        while functions := self._at_pause:
            self._at_pause = []
            self.defects.call_each(functions, _OF_LOOP)


def _taken_from(inbox: deque[Function]) -> Iterator[Function]:
    """Yield what is in a queue, which takes it out, until that is empty."""
    while inbox:
        yield inbox.popleft()
