"""A channel that many UDP sessions share, each on a subchannel of its own.

A session that had a channel to itself would need a handshake at both ends, a descriptor at every
site on the way, and 80 kB, for a question and its answer. So SHARE makes one of many: what follows
are the frames of subchannels, each behind the subchannel's number in a DATAGRAM. A subchannel is to
its user what a channel is, and begins with OPEN as a flow does. All that is sent within one turn of
the loop goes out together.
"""

import struct
from collections.abc import Iterator
from typing import Final

from van.errors import RemoteProtocolError
from van.router.channels.channel import MAX_FAREWELL, Channel
from van.router.channels.frames import UNUSED, ChannelUser, FrameCutter
from van.router.reactor.loop import EventLoop
from van.tls.identity import SiteIdentity
from van.wire.channel import (
    CODEC,
    MAX_DATAGRAM_PAYLOAD,
    MAX_RECORD,
    Farewell,
    Kind,
)
from van.wire.flow_protocol import FlowProtocol, FlowTable
from van.wire.framing import HEADER, HEADER_SIZE, Message

NUMBER: Final = struct.Struct("!I")
_PREFIX: Final = struct.Struct("!II")
_DATAGRAM_WORD: Final = int(Kind.DATAGRAM) << 24
_MOST: Final = MAX_DATAGRAM_PAYLOAD - NUMBER.size
"""Bytes of a subchannel's frames that go into one DATAGRAM."""


class Subchannel(FrameCutter):
    """One session's part of a shared channel; to its user it is a channel.

    In the event loop's thread. It is never paused: what its user can't take, it drops. A session
    that is over leaves it with `close`, or by handing it back to who waits for OPEN.
    """

    __slots__ = ("number", "shared")

    def __init__(self, shared: "SharedChannel", number: int, user: ChannelUser) -> None:
        super().__init__(user, shared.buffer, b"")
        self.shared = shared
        self.number = number

    @property
    def peer(self) -> SiteIdentity:
        """Return the site at the other end, as its certificate says."""
        return self.shared.channel.peer

    @property
    def site(self) -> str:
        """Return the name of the site at the other end."""
        return self.shared.channel.site

    @property
    def neighbor(self) -> str:
        """Return the neighbour over whose link the channel runs."""
        return self.shared.channel.neighbor

    @property
    def is_blocked(self) -> bool:
        """Tell whether the channel takes no more at present; the user is told when it does."""
        if not self.shared.channel.is_blocked:
            return False
        self.shared.wake_later(self)
        return True

    def hand_to(self, user: ChannelUser) -> None:
        """Give it another user; the one before is not told."""
        self.user = user
        self.shared.was_handed(self)

    def send(self, data: bytes | memoryview) -> bool:
        """Send whole frames with what else is sent in this turn; tell whether they go at once."""
        return self.is_open and self.shared.send(self.number, data)

    def send_buffer(self, size: int) -> bool:
        """Send so many bytes from the start of the loop's buffer, as `send` does."""
        return self.send(self._buffer[:size])

    def hold(self, message: Message) -> None:
        """Send a control message together with what is sent next."""
        self.send(CODEC.encode(message))

    def answer(self, frames: bytes) -> None:
        """Send what ends a session. Until it can go out nothing more is read from the channel, so
        that answers which nobody takes pile up nowhere."""
        if not self.send(frames):
            self.shared.channel.pause()

    def limit_unsent(self, size: int) -> None:
        """Do nothing: the channel has a limit for all who share it."""

    def resume(self) -> None:
        """Do nothing: it is never paused."""

    def abort(self, farewell: str = "") -> None:
        """Leave it without ceremony, and tell the other end, and why if that is given; the user is
        not told."""
        if self.is_open:
            if farewell:
                self.shared.send(self.number, CODEC.encode(Farewell(farewell[:MAX_FAREWELL])))
            self.shared.send(self.number, b"")
            self.close()

    def close(self) -> None:
        """Leave it; the user is not told."""
        if self.is_open:
            self.is_open = False
            self.user = UNUSED
            self.shared.was_left(self)

    def fail(self, reason: str) -> None:
        """Break off the channel, whose other end does not keep to the protocol."""
        self.shared.channel.fail(reason)

    def lose(self, reason: str) -> None:
        """Tell the user that there is no way to the other end any more."""
        if self.is_open:
            user = self.user
            self.close()
            user.channel_lost(reason)

    def receive(self, frames: memoryview) -> None:
        """Take whole frames; none at all say that the other end has left."""
        if not frames:
            self.lose(self._why_lost("broken off"))
            return
        self._dispatch(frames)
        if self._inbox or self._payload_left:
            self.fail("a frame on a shared channel is not whole")


DatagramChannel = Channel | Subchannel
"""What carries a session's frames."""


class SharedChannel:
    """Either end of a channel that is shared, and the channel's user for as long as it is."""

    def __init__(self, loop: EventLoop, channel: Channel, table: FlowTable) -> None:
        self.channel = channel
        self.buffer = loop.buffer
        self._loop = loop
        self._flow = FlowProtocol(table)
        self._subchannels: dict[int, Subchannel] = {}
        self._batch = bytearray()
        self._is_due = False
        """Whether the batch is sent at the end of this turn."""
        self._waiting: dict[Subchannel, None] = {}
        """Those that have something to send once the channel takes more."""
        self._current: Subchannel | None = None
        self._containment = loop.defects.contain("a session", end=self._abort_current)

    def __len__(self) -> int:
        """Return how many subchannels there are."""
        return len(self._subchannels)

    # -- for subchannels -------------------------------------------------------------------------

    def send(self, number: int, frames: bytes | memoryview) -> bool:
        """Send a subchannel's frames in this turn; tell whether nothing stands in their way."""
        if not self._flow.may_send:
            return False
        for part in _parts(frames):
            size = len(part) + NUMBER.size
            if len(self._batch) + size + HEADER_SIZE > MAX_RECORD:
                self._flush()
            self._batch += _PREFIX.pack(_DATAGRAM_WORD | size, number)
            self._batch += part
        if not self._is_due:
            self._is_due = True
            self._loop.at_turn_end(self._flush_in_time)
        return not self.channel.is_blocked

    def wake_later(self, subchannel: Subchannel) -> None:
        """Tell a subchannel's user when the channel takes more."""
        self._waiting[subchannel] = None

    def was_handed(self, subchannel: Subchannel) -> None:
        """Take note that a subchannel has another user."""

    def was_left(self, subchannel: Subchannel) -> None:
        """Forget a subchannel, whose number is not used again."""
        self._waiting.pop(subchannel, None)
        self._subchannels.pop(subchannel.number, None)

    def _flush_in_time(self) -> None:
        self._is_due = False
        self._flush()

    def _flush(self) -> None:
        if self._batch:
            batch, self._batch = self._batch, bytearray()
            self.channel.send(bytes(batch))

    def _lose_all(self, reason: str) -> None:
        self._flow.lose()
        self._batch.clear()
        for subchannel in list(self._subchannels.values()):
            self._current = subchannel
            with self._containment:
                subchannel.lose(reason)
        self._let_go()

    def _let_go(self) -> None:
        """Hold nothing that holds this any more, now that it is over."""
        self._current = None
        self._containment = self._loop.defects.contain("a session")

    def _abort_current(self, _detail: str) -> None:
        if self._current is not None:
            self._current.abort()

    def _begin(self, number: int, frames: memoryview) -> Subchannel | None:
        """Return a subchannel for a number that is not known, unless it is none any more."""

    # -- from the channel ------------------------------------------------------------------------

    def receive_data(self, data: memoryview) -> None:
        """Break the channel off: it carries no stream now."""
        self._flow.receive(Kind.DATA)

    def receive_datagram(self, data: memoryview) -> None:
        """Hand a subchannel's frames on."""
        self._hand_on(data)

    def _hand_on(self, data: memoryview) -> Subchannel | None:
        """Hand a subchannel's frames on, and return it if there is one."""
        if not self._flow.takes_payload:
            self._flow.receive(Kind.DATAGRAM)
            return None
        if len(data) < NUMBER.size:
            raise RemoteProtocolError("a frame on a shared channel has no number")
        number, frames = NUMBER.unpack_from(data)[0], data[NUMBER.size :]
        subchannel = self._subchannels.get(number) or self._begin(number, frames)
        if subchannel is not None:
            self._current = subchannel
            with self._containment:
                subchannel.receive(frames)
        return subchannel

    def channel_writable(self) -> None:
        """Let those go on that have kept something back, in turns."""
        self.channel.resume()
        waiting, self._waiting = self._waiting, {}
        for subchannel in waiting:
            if self.channel.is_blocked:
                self._waiting[subchannel] = None
            elif subchannel.is_open:
                subchannel.user.channel_writable()
                self._flush()


def _parts(frames: bytes | memoryview) -> Iterator[bytes | memoryview]:
    """Yield runs of whole frames that go into one DATAGRAM each."""
    if len(frames) <= _MOST:
        yield frames
        return
    begin = end = 0
    while end < len(frames):
        size = HEADER_SIZE + (HEADER.unpack_from(frames, end)[0] & 0xFFFFFF)
        if end + size - begin > _MOST:
            yield frames[begin:end]
            begin = end
        end += size
    yield frames[begin:end]
