"""A stream that is copied: what one end says goes to many others, in order and whole.

The pace is that of the slowest, within limits: each has a buffer, and one that has not made room in
its own for a second gets nothing more, so that it can't hold up the others.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import attrs
import trio

from van.router.reactor.lingering import reset_behind
from van.router.reactor.loop import EventLoop
from van.router.reactor.sockets import close_with_reset, describe, shut_down_sending

RECEIVE_SIZE: Final = 65536


@attrs.define(eq=False)
class Copy:
    """One of those that get the stream; owns its socket."""

    name: str
    sock: socket.socket
    kept: deque[memoryview] = attrs.field(factory=deque)
    size: int = 0
    is_over: bool = False
    failure: str = ""
    detail: str = ""
    """What is known of the failure beyond that."""
    full_since: float | None = None
    """When it had no room any more."""
    wake: trio.Event = attrs.field(factory=trio.Event)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)


class FanOut:
    """Copies what a client says; the first that answers is heard, or none."""

    def __init__(
        self,
        client: socket.socket,
        copies: Iterable[Copy],
        *,
        takes_answer: bool,
        on_lost: Callable[[Copy], None],
        loop: EventLoop,
    ) -> None:
        """Own all sockets; `on_lost` takes one that gets nothing more, and has its failure."""
        self._loop = loop
        self._client = client
        self._copies = tuple(copies)
        self._takes_answer = takes_answer
        self._on_lost = on_lost
        self._limits = loop.limits
        self._first: Copy | None = None
        """The one that has answered first."""
        self._is_ended = False
        """Whether the client has said all."""
        self._failure = ""
        """Why it was broken off as a whole."""
        self._client_failure = ""
        """Why the client can't be answered any more; what it said before is copied first."""
        self._drained = trio.Event()
        self._scope = trio.CancelScope()
        self._bytes_in = 0
        self._bytes_out = 0

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the client sent, and how many were sent to it."""
        return self._bytes_in, self._bytes_out

    def abort(self, detail: str) -> None:
        """Break it off at all ends."""
        self._failure = self._failure or detail
        self._scope.cancel()

    async def run(self) -> str:
        """Copy until all is over; return why it was broken off, or nothing."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read)
                    async with trio.open_nursery() as copying:
                        for copy in self._copies:
                            copying.start_soon(self._serve, copy)
                    nursery.cancel_scope.cancel()
            if all(copy.failure for copy in self._copies):
                self._failure = self._failure or "every copy was lost"
        finally:
            self._close(is_whole=not self._failure and not self._scope.cancel_called)
        return self._failure

    def _close(self, *, is_whole: bool) -> None:
        """Close what is open: in order, or with a reset behind what was said before that."""
        copies = [copy for copy in self._copies if not copy.failure]
        if is_whole:
            for sock in (self._client, *(copy.sock for copy in copies)):
                sock.close()
        else:
            reset_behind(self._loop, self._client)
            for copy in copies:
                reset_behind(self._loop, copy.sock, b"".join(copy.kept))

    # -- from the client -------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while True:
                await self._wait_for_room()
                data = memoryview(await _receive(self._client))
                if not data and self._client_failure:  # the kernel has told it already
                    self.abort(self._client_failure)
                    return
                self._bytes_in += len(data)
                self._is_ended = not data
                for copy in self._copies:
                    self._add(copy, data)
                if not data:
                    return
        except OSError as exc:
            self.abort(self._client_failure or f"the client: {describe(exc)}")

    def _add(self, copy: Copy, data: memoryview) -> None:
        if copy.is_over:
            return
        if data:
            copy.kept.append(data)
            copy.size += len(data)
            if copy.size >= self._limits.max_copy_kept and copy.full_since is None:
                copy.full_since = trio.current_time()
        copy.wake.set()

    async def _wait_for_room(self) -> None:
        """Wait until everyone has room, or has had the time to make it."""
        grace = self._limits.copy_grace
        while full := [each for each in self._copies if each.full_since is not None]:
            deadline = min(each.full_since or 0.0 for each in full) + grace
            with trio.move_on_at(deadline):
                await self._drained.wait()
            self._drained = trio.Event()
            for copy in full:
                if copy.full_since is not None and trio.current_time() >= copy.full_since + grace:
                    self._lose(copy, f"it took too little for {grace:g} s")
                    copy.scope.cancel()

    # -- to and from the others ------------------------------------------------------------

    async def _serve(self, copy: Copy) -> None:
        with copy.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, copy)
                nursery.start_soon(self._hear, copy)
        copy.is_over = True
        self._made_room(copy)
        if copy.failure:
            close_with_reset(copy.sock)
            self._on_lost(copy)
            if copy is self._first:
                self.abort(f"{copy.name}: {copy.failure}")

    async def _write(self, copy: Copy) -> None:
        try:
            while True:
                while copy.kept:
                    copy.size -= await _send_first(copy.sock, copy.kept)
                    if copy.size <= self._limits.copy_room:
                        self._made_room(copy)
                if self._is_ended:
                    shut_down_sending(copy.sock)
                    return
                copy.wake = trio.Event()
                await copy.wake.wait()
        except OSError as exc:
            self._lose(copy, describe(exc))  # and hear what it said before

    async def _hear(self, copy: Copy) -> None:
        try:
            while data := await _receive(copy.sock):
                if self._takes_answer and self._first in (None, copy):
                    self._first = copy
                    await self._answer(data)
            if copy is self._first and not copy.failure:
                shut_down_sending(self._client)
        except OSError as exc:
            self._lose(copy, describe(exc))
            copy.scope.cancel()

    async def _answer(self, data: bytes) -> None:
        if self._client_failure:
            return
        left = deque([memoryview(data)])
        try:
            while left:
                self._bytes_out += await _send_first(self._client, left)
        except OSError as exc:
            self._client_failure = f"the client: {describe(exc)}"
            if self._is_ended:
                self.abort(self._client_failure)

    def _made_room(self, copy: Copy) -> None:
        if copy.full_since is not None:
            copy.full_since = None
            self._drained.set()

    def _lose(self, copy: Copy, reason: str) -> None:
        if not copy.is_over:
            copy.is_over = True
            copy.failure = reason
            copy.kept.clear()
            self._made_room(copy)


async def _send_first(sock: socket.socket, kept: deque[memoryview]) -> int:
    """Send something of the first piece, take that out, and return how many bytes it was."""
    while kept:
        try:
            sent = sock.send(kept[0])
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
            continue
        if sent < len(kept[0]):
            kept[0] = kept[0][sent:]
        else:
            kept.popleft()
        return sent
    return 0  # it was dropped meanwhile


async def _receive(sock: socket.socket) -> bytes:
    await trio.lowlevel.checkpoint()  # whoever always has something must not keep others waiting
    while True:
        try:
            return sock.recv(RECEIVE_SIZE)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(sock)
