"""What both ends of a UDP session share: how datagrams go out, and which wait or are dropped.

A session is a flow like one of TCP, but without credit. UDP promises nothing, and what it
carries is soon of no use. So nothing waits for long and nothing is waited for: where something
takes no more, the newest few datagrams are kept, older ones make way, and every one that does is
counted.
"""

import abc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from van.router.bundles.subchannel import Carrier, Subchannel
from van.router.flow.drops import DropCause, Drops
from van.router.flow.outcome import Ending, OnEnd, Outcome
from van.router.reactor.bursts import CAN_CUT, Burst
from van.router.reactor.loop import EventLoop
from van.wire.channel import Kind
from van.wire.flow_protocol import FlowProtocol, FlowTable

CLOSE: Final = 0.0001
"""Seconds between two datagrams that come one right after the other: less than a round trip."""
_DATA: Final = int(Kind.DATA)
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
        self._datagrams: list[bytes] = []  # so few that it is smaller than what has two ends
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
        datagram = self._datagrams.pop(0)
        self._size -= len(datagram)
        return datagram

    def clear(self) -> int:
        """Keep none, and return how many there were."""
        count = len(self._datagrams)
        self._datagrams.clear()
        self._size = 0
        return count


class DatagramSender:
    """Sends datagrams on a channel, and keeps the newest of them while that takes none."""

    __slots__ = ("_drops", "_kept", "channel")

    def __init__(self, channel: Carrier, drops: Drops) -> None:
        self.channel = channel
        self._drops = drops
        self._kept = DatagramQueue()

    def send(self, datagram: bytes | memoryview) -> None:
        """Send a datagram, or keep it while the channel takes none."""
        if not self.channel.send_datagram(datagram):
            self._keep(datagram)

    def _keep(self, datagram: bytes | memoryview) -> None:
        self._drops[DropCause.PATH_BLOCKED] += self._kept.add(bytes(datagram))

    def channel_writable(self) -> None:
        """Send the newest of what was kept back."""
        while self._kept and not self.channel.is_blocked:
            self.channel.send_datagram(self._kept.take())

    def drop_kept(self) -> None:
        """Drop what is still kept."""
        if self._kept:
            self._drops[DropCause.PATH_BLOCKED] += self._kept.clear()


class SessionEnd(DatagramSender, abc.ABC):
    """Either end of a session; the user of its channel, until it calls `on_end`, once."""

    channel: Subchannel

    __slots__ = ("_flow", "_loop", "_on_end")

    def __init__(
        self, loop: EventLoop, channel: Subchannel, table: FlowTable, on_end: OnEnd, drops: Drops
    ) -> None:
        super().__init__(channel, drops)
        self._loop = loop
        self._flow = FlowProtocol(table)
        self._on_end = on_end

    def take_bursts(self, take: Burst) -> None:
        """Have what comes together taken at a time while the session is established."""
        if CAN_CUT:
            self.channel.on_burst = partial(self._receive_burst, take)

    def _receive_burst(self, take: Burst, datagrams: list[memoryview]) -> None:
        flow = self._flow
        if flow.takes_payload and flow.is_answered and flow.may_send:
            take(datagrams)
        else:
            for each in datagrams:
                self.receive_datagram(each)

    @abc.abstractmethod
    def receive_datagram(self, data: memoryview) -> None:
        """Take one from the channel."""

    def abort(self, detail: str = "broken off") -> None:
        """Break the session off, and the channel with it, unless it has ended."""
        if not self._flow.is_over:
            self.channel.abort(detail)
            self._flow.lose()
            self._finish(Outcome(Ending.RESET, detail))

    def receive_data(self, data: memoryview) -> None:
        """Break the session off: UDP has no stream."""
        self._flow.receive(_DATA)

    def channel_lost(self, reason: str) -> None:
        """End the session, unless it is over, and only the news of that did not get through."""
        if not self._flow.is_over:
            self._flow.lose()
            self._finish(Outcome(Ending.RESET, reason))

    def _finish(self, outcome: Outcome) -> None:
        """Leave the channel; the last thing to be done with it."""
        self.drop_kept()
        self._on_end(outcome)
