"""What both ends of a UDP session share: how datagrams wait for a channel, and which are dropped.

A session is a flow like one of TCP, but without credit. UDP promises nothing, and what it
carries is soon of no use. So nothing waits for long and nothing is waited for: where something
takes no more, the newest few datagrams are kept, older ones make way, and every one that does is
counted.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from van.router.bundles.subchannel import Carrier
from van.router.flow.drops import DropCause, Drops
from van.router.reactor.loop import EventLoop
from van.wire.channel import MAX_RECORD, Kind
from van.wire.framing import HEADER, HEADER_SIZE

CLOSE: Final = 0.0001
"""Seconds between two datagrams that come one right after the other: less than a round trip."""
DATAGRAM_WORD: Final = int(Kind.DATAGRAM) << 24
"""The header of a DATAGRAM frame, but for its length."""
MAX_KEPT: Final = 32
"""Datagrams of one session that wait: the bursts of most programs, and what a path that stalls for
a moment makes up for without getting behind."""
MAX_KEPT_BYTES: Final = 65536
"""Bytes of these: room for one of any size. All sessions of a site can keep 128 MiB."""
MAX_UNSENT: Final = 32768
"""Bytes that the kernel keeps of a session and has not sent, beyond which it takes no more: by
default it would be megabytes, which are seconds of a slow path."""


class ReadBudget:
    """How many datagrams a socket is read for in a row: one, and more the more there are.

    To look for one that is not there costs as much as to read one that is. So a second one is
    looked for only where one has come right after another.
    """

    __slots__ = ("_clock", "_last", "_most", "count")

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._most = most
        self._last = 0.0
        self.count = 1

    def took(self, count: int) -> None:
        """Learn how many there were in the last turn."""
        if count < self.count:
            self.count = max(1, count)
        elif count > 1:
            self.count = min(self._most, 2 * count)
        else:
            now = self._clock()
            self.count = 2 if now - self._last < CLOSE else 1
            self._last = now


class DatagramQueue:
    """The newest datagrams of a session that wait; older ones make way."""

    __slots__ = ("_datagrams", "_size")

    def __init__(self) -> None:
        self._datagrams: deque[bytes] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._datagrams)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._datagrams)

    def add(self, datagram: bytes) -> int:
        """Keep a datagram, and return how many made way for it."""
        self._datagrams.append(datagram)
        self._size += len(datagram)
        dropped = 0
        while len(self._datagrams) > MAX_KEPT or self._size > MAX_KEPT_BYTES:
            self.take()
            dropped += 1
        return dropped

    def take(self) -> bytes:
        """Return the oldest datagram, and keep it no more."""
        datagram = self._datagrams.popleft()
        self._size -= len(datagram)
        return datagram

    def clear(self) -> int:
        """Keep none, and return how many there were."""
        count = len(self._datagrams)
        self._datagrams.clear()
        self._size = 0
        return count


class DatagramSender:
    """Sends one session's datagrams on its channel, and keeps the newest while that is blocked."""

    __slots__ = ("_batch", "_channel", "_drops", "_loop", "_queue")

    def __init__(self, loop: EventLoop, channel: Carrier, drops: Drops) -> None:
        self._loop = loop
        self._channel = channel
        self._drops = drops
        self._queue = DatagramQueue()
        self._batch = bytearray()

    def send_payload(self, count: int, *, may_wait: bool = False) -> None:
        """Send a datagram, which is the first so many bytes of the loop's payload.

        One that may wait goes out in one record with those that follow, and with `release`.
        """
        if self._channel.is_blocked:
            self.send(bytes(self._loop.payload[:count]))
            return
        HEADER.pack_into(self._loop.buffer, 0, DATAGRAM_WORD | count)
        size = HEADER_SIZE + count
        if not may_wait:
            self._channel.send_buffer(size)
            return
        if len(self._batch) + size > MAX_RECORD:
            self.release()
        self._batch += self._loop.buffer[:size]

    def send(self, datagram: bytes) -> None:
        """Send a datagram, or keep it while the channel is blocked."""
        if self._channel.is_blocked:
            self._drops[DropCause.PATH_BLOCKED] += self._queue.add(datagram)
        else:
            self._channel.send(datagram_frame(datagram))

    def release(self) -> None:
        """Send what waits for more."""
        if self._batch:
            batch, self._batch = self._batch, bytearray()
            self._channel.send(bytes(batch))

    def flush(self) -> None:
        """Send what was kept, now that the channel takes more."""
        while self._queue and not self._channel.is_blocked:
            self._channel.send(datagram_frame(self._queue.take()))

    def close(self) -> None:
        """Drop what is still kept."""
        self._drops[DropCause.PATH_BLOCKED] += self._queue.clear()


def datagram_frame(datagram: bytes) -> bytes:
    """Return a datagram as a frame."""
    return HEADER.pack(DATAGRAM_WORD | len(datagram)) + datagram
