"""A bundle: one connection to another site that carries many flows at a time.

All that its flows have to say within one turn of the loop leaves together, and what has come is
handed out together: the more there is to do, the less each of them costs. A flow costs no
handshake, no connection, and no descriptor beyond its program's. It waits for its own credit
(`van.wire.credit`), and for the connection only where that takes no more; then in turns.
"""

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from van.errors import RemoteProtocolError
from van.router.bundles.siblings import Siblings
from van.router.bundles.subchannel import Subchannel
from van.router.channels.channel import Channel
from van.router.channels.frames import Unused
from van.router.reactor.bursts import MAX_BURST, MAX_BURST_SIZE, Burst
from van.router.reactor.loop import EventLoop
from van.wire import framing
from van.wire.bundle import HEADER, HEADER_SIZE, MAX_DATA, check_length, pack
from van.wire.channel import CODEC, MAX_RECORD, Farewell, Kind, Width

if TYPE_CHECKING:
    from van.router.bundles.tail import Tail

MAX_UNSENT: Final = 16384
"""Bytes that the kernel holds unsent of all flows together: a byte that is typed waits no longer
than for a record."""
MAX_KEPT: Final = 32 * 1024 * 1024
"""Bytes that one peer's flows may have waiting here for programs that do not read, over one bundle:
five hundred windows."""
_DATAGRAM: Final = int(Kind.DATAGRAM)


def _to_nobody(_size: int) -> bool:
    """Send nothing: the connection is gone."""
    return False


class Bundle(Unused, abc.ABC):
    """Either end of a bundle, and the user of the channel below for as long as that lives.

    In the thread of the loop. Its flows' frames go out at the end of the turn in which they were
    added. A defect that one flow meets ends that flow; a frame out of place ends the connection.
    """

    asks_for_channels = False
    """Whether the other end has to give bulk a channel of its own."""

    def __init__(
        self, loop: EventLoop, channel: Channel, identifier: bytes, siblings: Siblings
    ) -> None:
        self.channel = channel
        self.identifier = identifier
        """Names it among those of the two sites."""
        self.siblings = siblings
        """Those between the same two sites."""
        self.is_unwatched = False
        """Whether these have nothing to look at until something is sent."""
        self.is_stalled = False
        """Whether what was sent is not heard of in time."""
        self.sent = 0
        """Bytes of frames that have gone out: the position of the next one."""
        self.tail: Tail | None = None
        """The last of them, where something is lost now and then and there is another bundle."""
        self.way_round: Bundle | None = None
        """The bundle over which these have been said again."""
        self._heard = 0
        """Bytes of frames that have been handed out."""
        self._ahead = 0
        """Those that have come over another bundle, and have yet to come on this one."""
        self.had_bulk = False
        """Whether much of one flow was on its way since it was looked at."""
        storage = bytearray(MAX_RECORD)
        self.out = memoryview(storage)
        """Frames that go out at the end of this turn; where a program's bytes are read to as well,
        behind the last of them."""
        self.used = 0
        """How much of that is taken."""
        self._send = channel.sender(storage)
        self.is_full = False
        """Whether the connection takes no more at present."""
        self.kept = 0
        """Bytes that wait for programs here."""
        self._loop = loop
        self._flows: dict[int, Subchannel] = {}
        self.is_due = False
        """Whether what has been added is sent at the end of this turn."""
        self._may_wait = False
        """Whether it is sent when the loop pauses."""
        self._waiting: dict[Subchannel, None] = {}
        """Those that have something to send once the connection takes more."""
        self._rest = b""
        """What has come and has yet to be handed out: most often the beginning of a frame."""
        self._next = 0
        """Where the next frame begins in what is being handed out."""
        self._is_resting = False
        """Whether what has come has to wait until others had their turn."""
        self._current: Subchannel | None = None
        self._containment = loop.defects.contain("a flow on a bundle", end=self._fail_current)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {len(self)} flows on {self.channel!r}>"

    def __len__(self) -> int:
        """Return how many flows there are."""
        return len(self._flows)

    @property
    def is_keeping_too_much(self) -> bool:
        """Tell whether more waits for programs here than one peer may have waiting."""
        return self.kept > MAX_KEPT

    @property
    def gets_on(self) -> bool:
        """Tell whether what is sent on it arrives without delay, as far as is known."""
        return self.channel.is_open and not self.is_stalled and not self.is_full

    def users(self) -> Sequence[object]:
        """Return who uses it: whatever carries its flows."""
        return [each.user for each in self._flows.values()]

    def last_words(self, farewell: Farewell) -> bytes:
        """Return what has yet to be sent, with a farewell to all flows behind it."""
        kind, payload = CODEC.encode_apart(farewell)
        return bytes(self.out[: self.used]) + pack(kind, 0, payload)

    def flow(self, number: int) -> Subchannel | None:
        """Return a flow's part of it."""
        return self._flows.get(number)

    # -- for subchannels -------------------------------------------------------------------------

    def add(
        self,
        kind: int,
        number: int,
        payload: bytes | memoryview = b"",
        *,
        may_wait: bool = False,
    ) -> None:
        """Send a frame at the end of this turn; one that may wait, with what is sent next, or when
        the loop pauses."""
        size = len(payload)
        if size > MAX_DATA:  # a large datagram
            self.flush()
            frame = pack(kind, number, payload)
            self.is_full = not self.channel.send(frame)
            self._went_out(frame)
            return
        used = self.used
        if used + HEADER_SIZE + size > MAX_RECORD:
            self.flush()
            used = self.used
        HEADER.pack_into(self.out, used, kind << 24 | size, number)
        begin = used + HEADER_SIZE
        self.used = stop = begin + size
        if size:
            self.out[begin:stop] = payload
        if self.is_due:
            return
        if not may_wait:
            self.be_due()
        elif not self._may_wait:
            self._may_wait = True
            self._loop.at_pause(self._flush_at_pause)

    def be_due(self) -> None:
        """Send what has been added at the end of this turn."""
        self.is_due = True
        self._loop.at_turn_end(self._flush_in_time)

    def check_bulk(self) -> None:
        """Raise `RemoteProtocolError` if the other end may not ask for a channel."""
        if self.asks_for_channels:
            raise RemoteProtocolError("the ingress has asked itself for a channel")

    def check_later(self, check: Callable[[], None]) -> None:
        """Have somebody look whether something moves after a while."""
        self._loop.call_later(self._loop.limits.stall_timeout, check)

    def wake_later(self, subchannel: Subchannel) -> None:
        """Tell a subchannel's user when the connection takes more."""
        self._waiting[subchannel] = None

    def was_left(self, subchannel: Subchannel) -> None:
        """Forget a subchannel, whose number is not used again."""
        if self._waiting:
            self._waiting.pop(subchannel, None)
        self._flows.pop(subchannel.number, None)
        if not self._flows:
            self._were_left()

    def _were_left(self) -> None:  # of interest to one end only
        """Take note that the last flow has left."""

    def _flush_in_time(self) -> None:
        self.is_due = False
        self.flush()

    def _flush_at_pause(self) -> None:
        self._may_wait = False
        self.flush()

    def flush(self) -> None:
        """Send what has been added by now."""
        if used := self.used:
            self.used = 0
            self.is_full = not self._send(used)
            if self.is_unwatched or self.tail is not None:
                self._went_out(self.out[:used])
            else:
                self.sent += used

    def _went_out(self, frames: bytes | memoryview) -> None:
        self.sent += len(frames)
        if self.tail is not None:
            self.tail.append(bytes(frames))
            if self.is_stalled:
                self.siblings.repeat(self)
        if self.is_unwatched:
            self.siblings.wake()

    def _fail_current(self, detail: str) -> None:
        if self._current is not None:
            self._current.fail(detail)

    # -- from the channel ------------------------------------------------------------------------

    def receive(self, data: memoryview) -> bool:
        """Hand out the frames in some bytes; tell whether more may be read."""
        if self._ahead:
            known = min(self._ahead, len(data))
            self._ahead -= known
            data = data[known:]
        self._heard += len(data)
        if self._rest:
            data = memoryview(self._rest + data)
            self._rest = b""
        self._next = 0
        is_through = False
        while not is_through:
            with self._containment:
                try:
                    self._cut(data)
                except RemoteProtocolError as exc:
                    self.channel.fail(str(exc))
                is_through = True
            # Otherwise a flow has met a defect, and ended; the frames behind it are others'.
        self._current = None
        return self.channel.is_open and not self._is_resting

    def _cut(self, data: memoryview) -> None:
        # Each name and each call here costs something for every piece of every flow.
        flows, channel, unpack = self._flows, self.channel, HEADER.unpack_from
        end, offset = len(data), self._next
        last = end - HEADER_SIZE
        while offset <= last:
            word, number = unpack(data, offset)
            begin = offset + HEADER_SIZE
            stop = begin + (word & 0xFFFFFF)
            if stop > end:
                check_length(word >> 24, word & 0xFFFFFF)
                break
            self._next = stop
            flow = flows.get(number)
            if flow is not None:
                self._current = flow
                if word >> 24 == _DATAGRAM and stop <= last and flow.on_burst is not None:
                    stop = self._cut_burst(flow, flow.on_burst, data, offset, stop)
                else:
                    flow.receive(word >> 24, data[begin:stop])
            elif number:
                self._receive_unknown(word >> 24, number, data[begin:stop])
                if self._is_resting:
                    offset = stop
                    break
            else:
                self._receive_for_all(word >> 24, data[begin:stop])
            if not channel.is_open:
                return
            offset = stop
        self._rest = bytes(data[offset:]) if offset < end else b""

    def _cut_burst(
        self, flow: Subchannel, take: Burst, data: memoryview, offset: int, stop: int
    ) -> int:
        """Hand out a flow's datagram with those behind it that are of one size with it; return
        where the next frame begins."""
        begin, size = offset + HEADER_SIZE, stop - offset
        header, end = data[offset:begin], min(len(data), offset + MAX_BURST * size)
        found = [data[begin:stop]]
        while stop + size <= end and data[stop : stop + HEADER_SIZE] == header:
            found.append(data[stop + HEADER_SIZE : stop + size])
            stop += size
        self._next = stop
        if len(found) > 1 and 0 < size - HEADER_SIZE <= MAX_BURST_SIZE:
            take(found)
        else:
            for each in found:
                flow.receive(_DATAGRAM, each)
        return stop

    def _receive_for_all(self, kind: int, payload: memoryview) -> None:
        """Take a frame that is of no flow; raise `RemoteProtocolError` if it has to be of one."""
        if kind == Kind.REPEAT:
            self.siblings.receive_repeat(self, payload)
            return
        message = CODEC.decode(kind, payload)
        if isinstance(message, Farewell):
            self.channel.hear_farewell(message)
        elif isinstance(message, Width):
            self._receive_width(message.bundles)
        elif message is not None or kind < framing.FIRST_IGNORABLE_KIND:
            raise RemoteProtocolError(f"frame of kind {kind} is of no flow")

    def _rest_a_turn(self) -> None:
        """Let others have their turn before the next frame is taken."""
        self._is_resting = True
        self.channel.pause()
        self._loop.call_later(0.0, self._go_on)

    def _go_on(self) -> None:
        self._is_resting = False
        if self.channel.is_open and self.receive(memoryview(b"")) and not self.is_full:
            self.channel.resume()

    def receive_repeat(self, position: int, data: bytes) -> None:
        """Hand out what has come over another bundle, as far as it is new and nothing lacks before
        it; not while this one takes nothing."""
        new = position + len(data) - self._heard
        if 0 < new <= len(data) and self.channel.is_open and not self.channel.is_paused:
            ahead, self._ahead = self._ahead, 0
            self.receive(memoryview(data)[-new:])
            self._ahead = ahead + new

    @abc.abstractmethod
    def _receive_width(self, bundles: int) -> None:
        """Hear how many bundles the other end would make use of."""

    @abc.abstractmethod
    def _receive_unknown(self, kind: int, number: int, payload: memoryview) -> None:
        """Take a frame of a flow that is not known, or skip it, if there was one."""

    def channel_writable(self) -> None:
        """Let those go on that have kept something back, in turns."""
        self.is_full = False
        if not self._is_resting:
            self.channel.resume()
        waiting, self._waiting = self._waiting, {}
        for subchannel in waiting:
            if self.is_full:
                self._waiting[subchannel] = None
            elif subchannel.is_open:
                self._current = subchannel
                with self._containment:
                    subchannel.user.channel_writable()
                self.flush()

    def channel_lost(self, reason: str) -> None:
        """Tell everybody."""
        self.used = 0
        for subchannel in list(self._flows.values()):
            self._current = subchannel
            with self._containment:
                subchannel.lose(reason)
        self._let_go()

    def _let_go(self) -> None:
        """Hold nothing that holds this: else only a search for cycles would free both."""
        self._current = self.way_round = None
        self._send = _to_nobody
        self._containment = self._loop.defects.contain("a flow on a bundle")
