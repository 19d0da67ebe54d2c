"""The readiness loop that moves the bytes of all flows of a router.

One trio task waits on the poller's descriptor and then calls the handlers of what is ready, in a
tight loop and without further scheduling, for a bounded slice of time; then trio's other tasks
have their turn. Handlers never block and never await.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable
from typing import Final

import attrs
import trio

from van.router.poller import Poller, open_poller

logger = logging.getLogger(__name__)

SLICE: Final = 0.005
"""Seconds of moving bytes before other tasks get a turn: far below a heartbeat interval."""
MAX_EVENTS: Final = 256
BUFFER_SIZE: Final = 65536
PIPE_SIZE: Final = 262144
"""Capacity of a relay's pipe in bytes: one splice moves up to this much."""
MAX_SPARE_PIPES: Final = 64
_SET_PIPE_SIZE: Final = 1031  # F_SETPIPE_SZ, which `fcntl` names from Python 3.10 on Linux only

Handler = Callable[[int], None]


class Watch:
    """One socket's registration with the pump.

    A socket that is watched for nothing still reports errors and hang-ups; `suspend` silences
    these too, until the mask is set again.
    """

    __slots__ = ("_handler", "_is_registered", "_mask", "_pump", "fd")

    def __init__(self, pump: "Pump", fd: int, mask: int, handler: Handler) -> None:
        self._pump = pump
        self._mask = mask
        self._handler = handler
        self._is_registered = True
        self.fd = fd
        pump.handlers[fd] = handler
        pump.poller.register(fd, mask)

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

    def close(self) -> None:
        """End the registration; call it before the socket is closed or handed on.

        A second call does nothing: by then the descriptor may be another socket's.
        """
        self.suspend()
        if self._pump.handlers.get(self.fd) is self._handler:
            del self._pump.handlers[self.fd]


@attrs.define(eq=False)
class Pump:
    """Calls the handlers of ready sockets; holds what they share."""

    poller: Poller = attrs.field(factory=open_poller)
    handlers: dict[int, Handler] = attrs.field(factory=dict)
    buffer: memoryview = attrs.field(factory=lambda: memoryview(bytearray(BUFFER_SIZE)))
    """Scratch space for one read; nobody keeps a view of it past his own turn."""
    relayed_bytes: int = 0
    _spare_pipes: list[tuple[int, int]] = attrs.field(factory=list)

    def watch(self, fd: int, mask: int, handler: Handler) -> Watch:
        """Begin to call a handler with the events of a socket."""
        return Watch(self, fd, mask, handler)

    async def run(self) -> None:
        """Move bytes until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self.poller.fileno())
            self._run_slice()

    def close(self) -> None:
        """Release the poller and the pipes, when nobody watches any more."""
        self.poller.close()
        while self._spare_pipes:
            _close_pipe(self._spare_pipes.pop())

    def _run_slice(self) -> None:
        deadline = time.perf_counter() + SLICE
        handlers = self.handlers
        poll = self.poller.poll
        while events := poll(0, MAX_EVENTS):
            for fd, mask in events:
                handler = handlers.get(fd)
                if handler is not None:
                    self._call(handler, mask)
            if time.perf_counter() > deadline:
                return

    def _call(self, handler: Handler, mask: int) -> None:
        try:
            handler(mask)
        except Exception:
            # A defect in one flow's handler must not end the others' flows: it is logged, and the
            # owner of the handler, which sees no more events, is ended by its own supervision.
            logger.exception("handler %r failed", handler)
            self._silence(handler)

    def _silence(self, handler: Handler) -> None:
        for fd, candidate in list(self.handlers.items()):
            if candidate == handler:
                self.poller.unregister(fd)
                del self.handlers[fd]

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
