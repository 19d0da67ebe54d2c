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

from van.router.reactor.lingering import reset_behind
from van.router.reactor.loop import EventLoop
from van.router.reactor.pipes import PIPE_SIZE
from van.router.reactor.poller import ERROR, HANGUP, READ, WRITE
from van.router.reactor.sockets import close_with_reset, shut_down_sending

MOVES_PER_TURN: Final = 8
"""Splices or reads of one direction before other sockets have their turn."""
_SPLICE_NONBLOCK: Final = 0x02
_SPLICE_MOVE: Final = 0x01


class DestinationLost(Exception):
    """The destination of a direction takes nothing more; never leaves this module."""


class Direction(Protocol):
    """Moves bytes from one socket to another."""

    is_ended: bool
    """The source has ended, and all that it sent has gone out."""
    is_blocked: bool
    """Bytes wait for the destination."""
    moved: int
    """Bytes that have gone out."""

    def move(self) -> None:
        """Move what can be moved now.

        Raises `OSError` when the source has failed, and all that it sent has gone out, and
        `DestinationLost`.
        """

    def release(self) -> bytes:
        """Give back what is held, and return the bytes that have not gone out."""


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
            except OSError as exc:
                raise DestinationLost from exc
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

    def release(self) -> bytes:
        """Give the pipe back, and return the bytes in it."""
        left = b""
        while self._pipe is not None and self._in_pipe:
            part = os.read(self._pipe[0], self._in_pipe)
            self._in_pipe -= len(part)
            left += part
        self._give_pipe_back()
        return left


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
        except OSError as exc:
            raise DestinationLost from exc
        self.moved += sent
        return bytes(data[sent:])

    def release(self) -> bytes:
        """Return what was not sent."""
        left, self._kept = self._kept, b""
        return left


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
    """Two sockets and the two directions between them; owns and closes both sockets.

    A half-close is passed on when all that came before it has gone out, and so is a reset: the
    other socket is reset behind what was sent to it.
    """

    def __init__(
        self,
        loop: EventLoop,
        first: socket.socket,
        second: socket.socket,
        make_direction: DirectionFactory,
        observer: TurnObserver | None = None,
        *,
        ahead: bytes = b"",
    ) -> None:
        """`ahead` is what the first socket has said already, for the second one."""
        self.first_end: int | None = None
        """Which of the sockets ended first, 0 or 1; None as long as neither has."""
        self._loop = loop
        self._observer = observer
        self._sockets = (first, second)
        self._directions = (
            make_direction(loop, first, second),
            make_direction(loop, second, first),
        )
        self._ahead = ahead
        self._directions[0].is_blocked = bool(ahead)
        self._has_shut = [False, False]
        self._is_gone = [False, False]
        """Which of the sockets take nothing more; what they said before is passed on first."""
        self._is_watched_for_stall = False
        self._ended = trio.Event()
        self.was_reset = False
        self.reset_by: int | None = None
        """Which of the sockets was reset, 0 or 1; None where this router broke it off."""
        self._watches = [
            loop.watch(first.fileno(), READ, partial(self._handle, 0), self.abort),
            loop.watch(second.fileno(), READ, partial(self._handle, 1), self.abort),
        ]
        self._update(0, 0)

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
        if mask & WRITE:
            self._advance(1 - side)
        if mask & (READ | ERROR | HANGUP):
            self._advance(side)
        if mask & ERROR and self._has_shut[side]:
            self._reset(side)  # it broke after its own end
        if self._ended.is_set():
            return
        if all(self._has_shut):
            self._close(socket.socket.close)
        else:
            self._update(side, mask)

    def _advance(self, side: int) -> None:
        """Move what comes from one side, and pass its end on."""
        direction = self._directions[side]
        if self._has_shut[side] or self._ended.is_set():
            return
        before = direction.moved
        try:
            if side or not self._ahead or self._send_ahead():
                direction.move()
            self._count(side, before)
        except DestinationLost:
            self._count(side, before)
            self._lose(1 - side)
        except OSError:
            self._count(side, before)
            self._reset(side)
        else:
            if direction.is_ended and not direction.is_blocked:
                self._end(side)

    def _count(self, side: int, before: int) -> None:
        moved = self._directions[side].moved
        self._loop.relayed_bytes += moved - before
        if not before and moved and self._observer is not None:
            (self._observer.response_started if side else self._observer.request_sent)()

    def _send_ahead(self) -> bool:
        """Send what was said before; tell whether all has gone out."""
        direction = self._directions[0]
        try:
            sent = self._sockets[1].send(self._ahead)
        except BlockingIOError:
            return False
        except OSError as exc:
            raise DestinationLost from exc
        direction.moved += sent
        self._ahead = self._ahead[sent:]
        direction.is_blocked = bool(self._ahead)
        return not self._ahead

    def _end(self, side: int) -> None:
        """Pass the end of one side on, which is a reset if it was gone before."""
        if self._is_gone[side]:
            self._reset(side)
            return
        if self.first_end is None:
            self.first_end = side
        self._has_shut[side] = True
        shut_down_sending(self._sockets[1 - side])

    def _lose(self, side: int) -> None:
        """Send one side nothing more, and pass on what it has said."""
        self._is_gone[side] = True
        self._has_shut[1 - side] = True
        self._directions[1 - side].release()
        if self._has_shut[side]:
            self._reset(side)

    def _reset(self, side: int) -> None:
        """Reset the other side behind what this one has said, which has failed."""
        if not self._ended.is_set():
            self.was_reset, self.reset_by = True, side
            unsent = self._directions[side].release()
            self._end_watches()
            close_with_reset(self._sockets[side])
            reset_behind(self._loop, self._sockets[1 - side], unsent)
            self._tell_end()

    def _may_read(self, side: int) -> bool:
        return not (self._has_shut[side] or self._directions[side].is_blocked)

    def _update(self, side: int, mask: int) -> None:
        for each in (0, 1):
            reading = READ if self._may_read(each) else 0
            writing = WRITE if self._directions[1 - each].is_blocked else 0
            if each == side and mask & (HANGUP | ERROR) and not reading | writing:
                # There is nothing to be done for this socket now, which would be told for ever.
                self._watches[each].suspend()
                if self._directions[each].is_blocked:
                    self._watch_for_stall(each)
            else:
                self._watches[each].set(reading | writing)

    def _watch_for_stall(self, side: int) -> None:
        """Break both off, should nothing more of what this side said before it failed go out."""
        if not self._is_watched_for_stall:
            self._is_watched_for_stall = True
            check = partial(self._check_stall, side, self._directions[side].moved)
            self._loop.call_later(self._loop.limits.stall_timeout, check)

    def _check_stall(self, side: int, moved: int) -> None:
        self._is_watched_for_stall = False
        direction = self._directions[side]
        if not self._ended.is_set() and direction.is_blocked:
            if direction.moved == moved:
                self.abort()
            else:
                self._watch_for_stall(side)

    def _close(self, close: Callable[[socket.socket], None]) -> None:
        self._end_watches()
        for sock in self._sockets:
            close(sock)
        self._tell_end()

    def _end_watches(self) -> None:
        for watch in self._watches:
            watch.close()
        for direction in self._directions:
            direction.release()

    def _tell_end(self) -> None:
        for watch in self._watches:
            watch.forget()
        self._ended.set()
        self._loop.yield_to_tasks()
