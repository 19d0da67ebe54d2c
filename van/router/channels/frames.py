"""Cuts what arrives on a channel into frames, and hands them to whoever uses it. No I/O."""

import abc
from typing import Final, Protocol

from van.errors import RemoteProtocolError
from van.wire.channel import (
    CODEC,
    MAX_CONTROL_PAYLOAD,
    MAX_DATA_PAYLOAD,
    MAX_PAYLOADS,
    Farewell,
    Kind,
)
from van.wire.framing import FIRST_IGNORABLE_KIND, HEADER, HEADER_SIZE, Message

_DATA: Final = int(Kind.DATA)
DATA_WORD: Final = _DATA << 24
"""The header of a DATA frame, but for its length."""
_DATAGRAM: Final = int(Kind.DATAGRAM)
_DATAGRAM_WORD: Final = _DATAGRAM << 24
_BARE_KINDS: Final = frozenset({Kind.EOF, Kind.RESET, Kind.MOVED})


class ChannelUser(Protocol):
    """Whoever a channel serves at present."""

    def receive_data(self, data: memoryview) -> None:
        """Take payload bytes; the view is valid during the call only."""

    def receive_datagram(self, data: memoryview) -> None:
        """Take a whole datagram; the view is valid during the call only."""

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take any other frame; EOF, RESET, and MOVED carry no message."""

    def channel_writable(self) -> None:
        """Go on sending: what was kept back has been sent."""

    def channel_lost(self, reason: str) -> None:
        """Do without the channel, which is closed; why is said for people, in whole."""


class Unused:
    """The user of a channel that nobody uses: not yet, while it is paused, or no more."""

    def receive_data(self, data: memoryview) -> None:
        """See no data: the channel is paused."""

    def receive_datagram(self, data: memoryview) -> None:
        """See no datagram: the channel is paused."""

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """See no frame: the channel is paused."""

    def channel_writable(self) -> None:
        """Have nothing to send."""

    def channel_lost(self, reason: str) -> None:
        """Have nothing to lose."""


UNUSED: Final = Unused()


class FrameCutter(abc.ABC):
    """Hands frames to its user, and keeps what it can't hand on: while it is paused, or while the
    rest of a frame has yet to come."""

    __slots__ = (
        "_buffer", "_farewell", "_inbox", "_is_paused", "_payload_left", "is_open", "user",
    )  # fmt: skip

    def __init__(self, user: ChannelUser, buffer: memoryview, unread: bytes) -> None:
        """`buffer` is where records are read to; `unread` is what has come before."""
        self.user = user
        self.is_open = True
        self._buffer = buffer
        self._inbox = unread
        self._payload_left = 0
        self._is_paused = False
        self._farewell = ""
        """Why the other end breaks the channel off, if it says."""

    @property
    @abc.abstractmethod
    def site(self) -> str:
        """Return the name of the site at the other end."""

    def _why_lost(self, reason: str) -> str:
        """Say why the channel is lost: what the other end has said of that comes first."""
        if self._farewell:
            return f"site {self.site!r} ended it: {self._farewell}"
        return f"path lost: {reason}"

    @abc.abstractmethod
    def fail(self, reason: str) -> None:
        """Close the channel, because of what came, and tell the user."""

    def _dispatch_record(self, count: int) -> None:
        """Hand out what a record held: most often one DATA or DATAGRAM frame."""
        data = self._buffer[:count]
        if count <= HEADER_SIZE or self._payload_left or self._inbox:
            self._dispatch(data)
            return
        word = HEADER.unpack_from(data)[0]
        try:
            if word == DATA_WORD | (count - HEADER_SIZE):
                self.user.receive_data(data[HEADER_SIZE:])
            elif word == _DATAGRAM_WORD | (count - HEADER_SIZE):
                self.user.receive_datagram(data[HEADER_SIZE:])
            else:
                self._dispatch(data)
        except RemoteProtocolError as exc:
            self.fail(str(exc))

    def _dispatch(self, data: memoryview) -> bool:
        """Hand out the frames in some bytes; return whether more may be read."""
        if self._inbox:
            data = memoryview(self._inbox + data)
            self._inbox = b""
        offset, end = 0, len(data)
        try:
            while offset < end:
                offset, is_whole = self._take(data, offset, end)
                if not self.is_open:
                    return False
                if self._is_paused or not is_whole:
                    self._inbox = bytes(data[offset:])
                    return not self._is_paused
        except RemoteProtocolError as exc:
            self.fail(str(exc))
            return False
        return True

    def _take(self, data: memoryview, offset: int, end: int) -> tuple[int, bool]:
        """Use the next frame, or the part of a DATA frame that is here.

        Returns the new offset, and whether something could be used.
        """
        left = self._payload_left
        if not left:
            if end - offset < HEADER_SIZE:
                return offset, False
            word = HEADER.unpack_from(data, offset)[0]
            left = word & 0xFFFFFF
            if word >> 24 != _DATA:
                return self._take_control(word >> 24, left, data, offset, end)
            if left > MAX_DATA_PAYLOAD:
                raise RemoteProtocolError(f"data frame of {left} bytes is too large")
            offset += HEADER_SIZE
        stop = min(offset + left, end)
        self._payload_left = left - (stop - offset)
        if stop > offset:
            self.user.receive_data(data[offset:stop])
        return stop, True

    def _take_control(
        self, kind: int, length: int, data: memoryview, offset: int, end: int
    ) -> tuple[int, bool]:
        if length > MAX_PAYLOADS.get(kind, MAX_CONTROL_PAYLOAD):
            raise RemoteProtocolError(f"frame of kind {kind} with {length} bytes is too large")
        stop = offset + HEADER_SIZE + length
        if stop > end:
            return offset, False
        if kind == _DATAGRAM:
            self.user.receive_datagram(data[offset + HEADER_SIZE : stop])
        elif kind in _BARE_KINDS:
            self.user.receive_frame(kind, None)
        else:
            message = CODEC.decode(kind, bytes(data[offset + HEADER_SIZE : stop]))
            if isinstance(message, Farewell):
                self._farewell = message.reason
            elif message is not None or kind < FIRST_IGNORABLE_KIND:
                self.user.receive_frame(kind, message)
        return stop, True
