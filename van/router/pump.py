"""The readiness loop that moves the bytes of all flows of a router.

One trio task waits on the poller's descriptor and then calls the handlers of what is ready, in a
tight loop and without further scheduling, for a bounded slice of time; then trio's other tasks
have their turn. Handlers never block and never await.

A turn of trio takes longer than to move a small message. So the pump lingers after it has moved
something: most of what comes next comes within a millisecond, and is moved without such a turn. A
handler that has given other tasks something to do says so with `give_way`.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable
from typing import Final

import attrs
import trio

from van.router.delays import DelayQueue
from van.router.poller import Poller, SelectorPoller, open_poller
from van.wire.framing import HEADER_SIZE

logger = logging.getLogger(__name__)

SLICE: Final = 0.005
"""Seconds of moving bytes before other tasks get a turn: far below a heartbeat interval."""
LINGER: Final = 0.001
"""Seconds to wait for more before other tasks get a turn; epoll counts in milliseconds."""
MAX_EVENTS: Final = 256
DRAIN_TIMEOUT: Final = 1.0
"""Seconds that a broken-off flow may take to be cleared from its channel, before both go."""
BUFFER_SIZE: Final = 65536
PIPE_SIZE: Final = 262144
"""Capacity of a relay's pipe in bytes: one splice moves up to this much."""
MAX_SPARE_PIPES: Final = 64
_SET_PIPE_SIZE: Final = 1031  # F_SETPIPE_SZ, which `fcntl` names from Python 3.10 on Linux only

Handler = Callable[[int], None]
Fail = Callable[[str], object]
"""Ends what a handler was for."""


def _ignore(reason: str) -> None:
    """Leave it to whoever owns the watch."""


class Watch:
    """One socket's registration with the pump.

    A socket that is watched for nothing still reports errors and hang-ups; `suspend` silences
    these too, until the mask is set again.
    """

    __slots__ = ("_is_registered", "_mask", "_pump", "fail", "fd", "handler")

    def __init__(
        self, pump: "Pump", fd: int, mask: int | None, handler: Handler, fail: Fail
    ) -> None:
        self._pump = pump
        self._mask = 0
        self._is_registered = False
        self.fd = fd
        self.handler = handler
        self.fail = fail
        pump.watches[fd] = self
        if mask is not None:
            self.set(mask)

    def set(self, mask: int) -> None:
        """Watch for exactly these events from now on."""
        if not self._is_registered:
            self._pump.poller.register(self.fd, mask)
            self._is_registered = True
        elif mask != self._mask:
            self._pump.poller.modify(self.fd, mask)
        self._mask = mask

    def suspend(self) -> None:
        """Report nothing at all until `set` is called."""
        if self._is_registered:
            self._pump.poller.unregister(self.fd)
            self._is_registered = False

    def close(self, *, is_last: bool = False) -> None:
        """End the registration; call it before the socket is closed or handed on.

        A second call does nothing: by then the descriptor may be another socket's. If it is
        the last before the socket is closed, epoll need not be told.
        """
        if is_last and self._pump.is_told_of_closing:
            self._is_registered = False
        else:
            self.suspend()
        if self._pump.watches.get(self.fd) is self:
            del self._pump.watches[self.fd]


@attrs.define(eq=False)
class Pump:
    """Calls the handlers of ready sockets; holds what they share."""

    poller: Poller = attrs.field(factory=open_poller)
    watches: dict[int, Watch] = attrs.field(factory=dict)
    storage: bytearray = attrs.field(factory=lambda: bytearray(BUFFER_SIZE))
    """Scratch space for one read; nobody keeps a view of it past his own turn."""
    buffer: memoryview = attrs.field(init=False)
    """The same as a view."""
    is_told_of_closing: bool = attrs.field(init=False)
    """Whether a socket that is closed is no longer polled anyway."""
    payload: memoryview = attrs.field(init=False)
    """The same without room for a header in front."""
    relayed_bytes: int = 0
    drains: DelayQueue = attrs.field(factory=lambda: DelayQueue(DRAIN_TIMEOUT))
    """Ends flows that were broken off, unless they have ended by then."""
    _is_giving_way: bool = False
    _at_pause: list[Callable[[], object]] = attrs.field(factory=list)
    _spare_pipes: list[tuple[int, int]] = attrs.field(factory=list)

    @buffer.default
    def _buffer_default(self) -> memoryview:
        return memoryview(self.storage)

    @is_told_of_closing.default
    def _is_told_of_closing_default(self) -> bool:
        return not isinstance(self.poller, SelectorPoller)

    @payload.default
    def _payload_default(self) -> memoryview:
        return self.buffer[HEADER_SIZE:]

    def watch(self, fd: int, mask: int | None, handler: Handler, fail: Fail = _ignore) -> Watch:
        """Begin to call a handler with the events of a socket; with None for a mask, not yet.

        A handler that raises is not called again, and `fail` is called with a reason.
        """
        return Watch(self, fd, mask, handler, fail)

    async def run(self) -> None:
        """Move bytes until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.drains.run)
            while True:
                await trio.lowlevel.wait_readable(self.poller.fileno())
                self._run_slice()

    def at_pause(self, function: Callable[[], object]) -> None:
        """Have a function called when nothing more is ready, or when others have their turn.

        Handlers may call this; elsewhere it would be called with the next event only.
        """
        self._at_pause.append(function)

    def give_way(self) -> None:
        """Let other tasks have their turn as soon as what is ready now has been handled."""
        self._is_giving_way = True

    def close(self) -> None:
        """Release the poller and the pipes, when nobody watches any more."""
        self.poller.close()
        while self._spare_pipes:
            _close_pipe(self._spare_pipes.pop())

    def _run_slice(self) -> None:
        deadline = time.perf_counter() + SLICE
        watches = self.watches
        poll = self.poller.poll
        self._is_giving_way = False
        while events := poll(LINGER, MAX_EVENTS):
            for fd, mask in events:
                watch = watches.get(fd)
                if watch is not None:
                    try:
                        watch.handler(mask)
                    except Exception:
                        # A defect in one flow's handler must not end the others' flows.
                        logger.exception("handler %r failed", watch.handler)
                        self._fail(watch)
            if self._is_giving_way or time.perf_counter() > deadline:
                break
        while self._at_pause:
            functions, self._at_pause = self._at_pause, []
            for function in functions:
                try:
                    function()
                except Exception:
                    logger.exception("%r failed", function)

    def _fail(self, watch: Watch) -> None:
        watch.close()
        try:
            watch.fail("a defect, see the log")
        except Exception:
            logger.exception("handler %r failed, and could not be ended", watch.handler)

    def borrow_pipe(self) -> tuple[int, int]:
        """Return an empty pipe, its read end first; give it back empty, or close it."""
        if self._spare_pipes:
            return self._spare_pipes.pop()
        pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _grow_pipe(pipe[1])
        return pipe

    def return_pipe(self, pipe: tuple[int, int], *, is_empty: bool) -> None:
        """Take back a pipe; one that still holds bytes is closed."""
        if is_empty and len(self._spare_pipes) < MAX_SPARE_PIPES:
            self._spare_pipes.append(pipe)
        else:
            _close_pipe(pipe)


def _grow_pipe(fd: int) -> None:
    try:
        fcntl.fcntl(fd, _SET_PIPE_SIZE, PIPE_SIZE)
    except OSError as exc:  # over the user's quota of pipe pages: the default size works too
        logger.debug("pipe keeps its default size: %s", exc)


def _close_pipe(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    os.close(pipe[1])
