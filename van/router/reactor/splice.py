"""Passes the bytes of two bare connections on: ciphertext at a transit, or a flow within a site.

Each direction borrows a pipe only while bytes are in it, and moves them with `os.splice`, so that
they never enter the process; where the system has no splice, it copies. A half-close is passed on
as one, a reset as a reset.
"""

import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import trio

from van.router.reactor.loop import EventLoop
from van.router.reactor.pipes import PIPE_SIZE
from van.router.reactor.poller import ERROR, HANGUP, READ, WRITE
from van.router.reactor.sockets import close_with_reset, shut_down_sending

MOVES_PER_TURN: Final = 8
"""Splices or reads of one direction before other sockets have their turn."""
_SPLICE_NONBLOCK: Final = 0x02
_SPLICE_MOVE: Final = 0x01


class Direction(Protocol):
    """Moves bytes from one socket to another; a failure of either raises `OSError`."""

    is_ended: bool
    """The source has ended, and all that it sent has gone out."""
    is_blocked: bool
    """Bytes wait for the destination."""
    moved: int
    """Bytes that have gone out."""

    def move(self) -> None:
        """Move what can be moved now."""

    def release(self) -> None:
        """Give back what is held; bytes in it are dropped."""


class SpliceDirection:
    """Moves bytes inside the kernel, through a pipe that it holds while bytes are in it."""

    __slots__ = (
        "_destination", "_in_pipe", "_loop", "_pipe", "_source", "is_blocked", "is_ended", "moved",
    )  # fmt: skip

    def __init__(self, loop: EventLoop, source: socket.socket, destination: socket.socket) -> None:
        self.is_ended = False
        self.is_blocked = False
        self.moved = 0
        self._loop = loop
        self._source = source.fileno()
        self._destination = destination.fileno()
        self._pipe: tuple[int, int] | None = None
        self._in_pipe = 0

    def move(self) -> None:
        """Move what can be moved now."""
        self.is_blocked = False
        for _ in range(MOVES_PER_TURN):
            if not self._in_pipe and not self._fill():
                break
            if not self._empty():
                self.is_blocked = True
                return
        self._give_pipe_back()

    def _fill(self) -> bool:
        if self._pipe is None:
            self._pipe = self._loop.pipes.borrow()
        try:
            self._in_pipe = self._splice(self._source, self._pipe[1], PIPE_SIZE)
        except BlockingIOError:
            return False
        self.is_ended = not self._in_pipe
        return not self.is_ended

    def _empty(self) -> bool:
        if self._pipe is None:
            return True
        while self._in_pipe:
            try:
                count = self._splice(self._pipe[0], self._destination, self._in_pipe)
            except BlockingIOError:
                return False
            self._in_pipe -= count
            self.moved += count
        return True

    @staticmethod
    def _splice(source: int, destination: int, count: int) -> int:
        return os.splice(source, destination, count, flags=_SPLICE_NONBLOCK | _SPLICE_MOVE)

    def _give_pipe_back(self) -> None:
        if self._pipe is not None:
            self._loop.pipes.give_back(self._pipe, is_empty=not self._in_pipe)
            self._pipe = None

    def release(self) -> None:
        """Give the pipe back; bytes in it are dropped."""
        self._give_pipe_back()
        self._in_pipe = 0


class CopyDirection:
    """Moves bytes through the process, where there is no splice."""

    __slots__ = (
        "_buffer", "_destination", "_kept", "_source", "is_blocked", "is_ended", "moved",
    )  # fmt: skip

    def __init__(self, loop: EventLoop, source: socket.socket, destination: socket.socket) -> None:
        self.is_ended = False
        self.is_blocked = False
        self.moved = 0
        self._buffer = loop.buffer
        self._source = source
        self._destination = destination
        self._kept = b""

    def move(self) -> None:
        """Move what can be moved now."""
        for _ in range(MOVES_PER_TURN):
            if self._kept:
                self._kept = self._send(memoryview(self._kept))
            else:
                try:
                    count = self._source.recv_into(self._buffer)
                except BlockingIOError:
                    return
                if not count:
                    self.is_ended = True
                    return
                self._kept = self._send(self.see(self._buffer[:count]))
            self.is_blocked = bool(self._kept)
            if self.is_blocked:
                return

    def see(self, data: memoryview) -> memoryview:
        """Return what to pass on in the place of what came: the same."""
        return data

    def _send(self, data: memoryview) -> bytes:
        try:
            sent = self._destination.send(data)
        except BlockingIOError:
            sent = 0
        self.moved += sent
        return bytes(data[sent:])

    def release(self) -> None:
        """Drop what was not sent."""
        self._kept = b""


DirectionFactory = Callable[[EventLoop, socket.socket, socket.socket], Direction]


def best_direction() -> DirectionFactory:
    """Return the cheapest way to move bytes that this system has."""
    return SpliceDirection if hasattr(os, "splice") else CopyDirection


class TurnObserver(Protocol):
    """Whoever wants to know what is said first."""

    def request_sent(self) -> None:
        """Take note that the first socket has said something."""

    def response_started(self) -> None:
        """Take note that the second one has."""


class Relay:
    """Two sockets and the two directions between them; owns and closes both sockets."""

    def __init__(
        self,
        loop: EventLoop,
        first: socket.socket,
        second: socket.socket,
        make_direction: DirectionFactory,
        observer: TurnObserver | None = None,
    ) -> None:
        self.first_end: int | None = None
        """Which of the sockets ended first, 0 or 1; None as long as neither has."""
        self._loop = loop
        self._observer = observer
        self._sockets = (first, second)
        self._directions = (
            make_direction(loop, first, second),
            make_direction(loop, second, first),
        )
        self._has_shut = [False, False]
        self._ended = trio.Event()
        self.was_reset = False
        self._watches = [
            loop.watch(first.fileno(), READ, partial(self._handle, 0), self.abort),
            loop.watch(second.fileno(), READ, partial(self._handle, 1), self.abort),
        ]

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the second socket has taken, and how many the first."""
        return self._directions[0].moved, self._directions[1].moved

    async def ended(self) -> None:
        """Wait until both directions have ended; on cancellation break both off."""
        try:
            await self._ended.wait()
        finally:
            self.abort()

    def abort(self, reason: str = "") -> None:
        """Close both connections with a reset, unless they have ended."""
        if not self._ended.is_set():
            self.was_reset = True
            self._close(close_with_reset)

    def _handle(self, side: int, mask: int) -> None:
        try:
            self._check(side, mask)
            if mask & WRITE:
                self._advance(1 - side)
            if mask & (READ | ERROR | HANGUP):
                self._advance(side)
        except OSError:
            # Either connection broke: the other learns it by a reset.
            self.abort()
            return
        if all(self._has_shut):
            self._close(socket.socket.close)
        else:
            self._update(side, mask)

    def _check(self, side: int, mask: int) -> None:
        """Raise a pending error at once, also while the socket is not read."""
        if mask & ERROR and not self._may_read(side):
            code = self._sockets[side].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            raise OSError(code, os.strerror(code))

    def _advance(self, side: int) -> None:
        """Move what comes from one side, and pass its end on."""
        direction = self._directions[side]
        if self._has_shut[side]:
            return
        before = direction.moved
        direction.move()
        self._loop.relayed_bytes += direction.moved - before
        if not before and direction.moved and self._observer is not None:
            (self._observer.response_started if side else self._observer.request_sent)()
        if direction.is_ended and not direction.is_blocked:
            if self.first_end is None:
                self.first_end = side
            self._has_shut[side] = True
            shut_down_sending(self._sockets[1 - side])

    def _may_read(self, side: int) -> bool:
        return not (self._has_shut[side] or self._directions[side].is_blocked)

    def _update(self, side: int, mask: int) -> None:
        for each in (0, 1):
            reading = READ if self._may_read(each) else 0
            writing = WRITE if self._directions[1 - each].is_blocked else 0
            if each == side and mask & HANGUP and not reading | writing:
                # Both directions of this socket are over, which would be reported for ever.
                self._watches[each].suspend()
            else:
                self._watches[each].set(reading | writing)

    def _close(self, close: Callable[[socket.socket], None]) -> None:
        for watch in self._watches:
            watch.close()
        for direction in self._directions:
            direction.release()
        for sock in self._sockets:
            close(sock)
        self._ended.set()
        self._loop.yield_to_tasks()
