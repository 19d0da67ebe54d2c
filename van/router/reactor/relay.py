"""Passes the bytes of two bare connections on: ciphertext at a transit, or a flow within a site.

How bytes are moved is given, and is in `van.router.reactor.splice`. A half-close is passed on as
one, a reset as a reset.
"""

import socket
from collections.abc import Callable
from functools import partial
from typing import Protocol

import trio

from van.router.reactor.lingering import reset_behind
from van.router.reactor.loop import EventLoop
from van.router.reactor.poller import ERROR, HANGUP, READ, WRITE
from van.router.reactor.sockets import close_with_reset, shut_down_sending
from van.router.reactor.splice import DestinationLost, DirectionFactory


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
