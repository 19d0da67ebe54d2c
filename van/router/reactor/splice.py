"""Ways to move the bytes of one bare connection on to another.

Each borrows a pipe only while bytes are in it, and moves them with `os.splice`, so that they never
enter the process; where the system has no splice, it copies. What ties two of them to a pair of
connections is `van.router.reactor.relay`.
"""

import os
import socket
from collections.abc import Callable
from typing import Final, Protocol

from van.router.reactor.loop import EventLoop
from van.router.reactor.pipes import PIPE_SIZE

MOVES_PER_TURN: Final = 8
"""Splices or reads of one direction before other sockets have their turn."""
_SPLICE_NONBLOCK: Final = 0x02
_SPLICE_MOVE: Final = 0x01


class DestinationLost(Exception):
    """The destination of a direction takes nothing more; never leaves a relay."""


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
