"""A channel: one TLS connection to another site that carries flows, one at a time.

The channel cuts what arrives into frames and hands them to its present *user* (an idle pool entry,
or the carrier of a flow), and keeps the little that could not be sent at once. It is paused and
resumed by its user; that is how the kernel's window becomes the flow's back-pressure.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from van.errors import RemoteProtocolError
from van.router.reactor.loop import EventLoop, Movable
from van.router.reactor.poller import ERROR, HANGUP, READ, WRITE
from van.router.reactor.sockets import close_with_reset, describe, limit_unsent
from van.tls.connection import TlsConnection, WantRead, WantWrite
from van.tls.identity import SiteIdentity
from van.wire.channel import (
    CODEC,
    MAX_CONTROL_PAYLOAD,
    MAX_DATA_PAYLOAD,
    MAX_PAYLOADS,
    MAX_RECORD,
    Kind,
)
from van.wire.framing import FIRST_IGNORABLE_KIND, HEADER, HEADER_SIZE, Message, pack_header

READS_PER_TURN: Final = 2
"""Buffers that one channel may fill before the others have their turn."""
_DATA: Final = int(Kind.DATA)
DATA_WORD: Final = _DATA << 24
"""The header of a DATA frame, but for its length."""
_DATAGRAM: Final = int(Kind.DATAGRAM)
_DATAGRAM_WORD: Final = _DATAGRAM << 24
_BARE_KINDS: Final = frozenset({Kind.EOF, Kind.RESET})
EOF_FRAME: Final = pack_header(Kind.EOF, 0)
RESET_FRAME: Final = pack_header(Kind.RESET, 0)


class ChannelUser(Protocol):
    """Whoever a channel serves at present."""

    def receive_data(self, data: memoryview) -> None:
        """Take payload bytes; the view is valid during the call only."""

    def receive_datagram(self, data: memoryview) -> None:
        """Take a whole datagram; the view is valid during the call only."""

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take any other frame; EOF and RESET carry no message."""

    def channel_writable(self) -> None:
        """Go on sending: what was kept back has been sent."""

    def channel_lost(self, reason: str) -> None:
        """Do without the channel, which is closed."""


class Channel:
    """Cuts frames, keeps what could not be sent, and knows where it leads."""

    __slots__ = (
        "_buffer", "_held", "_inbox", "_is_paused", "_loop", "_outbox", "_payload_left", "_read",
        "_tls", "_watch", "_write", "became_idle", "epoch", "is_open", "neighbor", "on_close",
        "peer", "user",
    )  # fmt: skip

    def __init__(
        self,
        loop: EventLoop,
        tls: TlsConnection,
        *,
        peer: SiteIdentity,
        neighbor: str,
        user: ChannelUser,
        unread: bytes = b"",
    ) -> None:
        self.peer = peer
        """The site at the other end, as its certificate says."""
        self.neighbor = neighbor
        """The neighbour over whose link the channel runs: the site itself, or the first relay."""
        self.user = user
        self.became_idle = 0.0
        self.epoch = 0
        """Which of our certificates it was made with: a pool keeps only those of the newest."""
        self.is_open = True
        self.on_close: Callable[[Channel], None] | None = None
        """Called in the thread of the loop."""
        self._loop = loop
        self._tls = tls
        self._buffer = loop.buffer
        self._read = tls.reader(loop.storage)
        self._write = tls.writer(loop.storage)
        self._inbox = unread
        self._held = b""
        self._outbox = b""
        self._payload_left = 0
        self._is_paused = False
        self._watch = loop.watch(tls.fileno(), READ, self._handle, self.fail)

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Channel to {self.site!r} via {self.neighbor!r} {state}>"

    @property
    def site(self) -> str:
        """Return the name of the site at the other end."""
        return self.peer.site

    @property
    def is_blocked(self) -> bool:
        """Tell whether bytes wait to be sent; a user sends no data meanwhile."""
        return bool(self._outbox)

    def hand_to(self, user: ChannelUser) -> None:
        """Give the channel another user; the one before is not told.

        What comes from now on is the new one's, and so is its loss. Whether it is paused stays.
        """
        self.user = user

    def send(self, data: bytes | memoryview) -> bool:
        """Send whole frames, or keep what does not fit; tell whether all went out.

        A failure ends the channel and is told through `channel_lost`. What is sent on a closed
        channel is dropped.
        """
        if not self.is_open:
            return False
        if self._held:
            held, self._held = self._held, b""
            data = held + data
        if self._outbox:
            self._outbox += data
            return False
        return self._send_now(data)

    def send_buffer(self, size: int) -> bool:
        """Send so many bytes from the start of the loop's buffer, as `send` does."""
        if self._outbox or self._held or not self.is_open:
            return self.send(self._buffer[:size])
        sent = self._write(size)
        return sent == size or self._send_now(self._buffer[max(0, sent) : size])

    def hold(self, message: Message) -> None:
        """Send a control message together with what is sent next, or when the loop pauses.

        A record less costs both ends less. Only a handler of the loop's may ask for this.
        """
        self._held += CODEC.encode(message)
        self._loop.at_pause(self.release_held)

    def release_held(self) -> None:
        """Send what is still held back."""
        if self._held:
            self.send(b"")

    def send_message(self, message: Message) -> bool:
        """Send one control message, as `send` does."""
        return self.send(CODEC.encode(message))

    def answer(self, frames: bytes) -> None:
        """Send what ends a flow. Until it has gone out nothing more is read: an ingress that does
        not take answers can ask no more, and they pile up nowhere."""
        if not self.send(frames):
            self.pause()

    def pause(self) -> None:
        """Read no more until `resume`; what has been read and not yet used is kept."""
        if not self._is_paused:
            self._is_paused = True
            if self.is_open:  # by now the descriptor may be another socket's
                self._update_watch()

    def resume(self) -> None:
        """Hand out what was kept, and read again."""
        self._is_paused = False
        if self._inbox:
            kept, self._inbox = self._inbox, b""
            if not self._dispatch(memoryview(kept)):
                return
        if self.is_open and not self._is_paused:
            self._update_watch()

    def limit_unsent(self, size: int) -> None:
        """Have the kernel take no more while so many bytes wait in it to be sent; 0: as it likes.

        It goes on being so until it is called again, whoever the user is.
        """
        if self.is_open:
            limit_unsent(self._tls.sock, size)

    def move_to(self, loop: EventLoop) -> None:
        """Leave the loop; `arrive`, called in the other one's thread, goes on with that."""
        self._watch.close()
        self._loop = loop

    def arrive(self) -> None:
        """Go on with a new loop."""
        if self.is_open:
            loop = self._loop
            self._buffer = loop.buffer
            self._read = self._tls.reader(loop.storage)
            self._write = self._tls.writer(loop.storage)
            self._watch = loop.watch(self._tls.fileno(), None, self._handle, self.fail)
            self._update_watch()

    @property
    def may_move(self) -> bool:
        """Tell whether nothing is held back for the loop's next pause."""
        return self.is_open and not self._held

    def belong_to(self, whole: Movable | None) -> None:
        """Say what the channel is a part of, for a loop that is busy with it."""
        self._watch.part_of = whole

    def detach(self) -> TlsConnection:
        """Give the TLS socket up, for a relay; the channel is closed and tells nobody.

        Raises `RemoteProtocolError` when the peer has sent ahead of the relay.
        """
        if self._inbox or self._outbox or self._held or self._payload_left:
            self.close()
            raise RemoteProtocolError("frames followed a relay request")
        self._watch.close()
        self._end()
        tls = self._tls
        # A task may hold this channel for as long as the relay lives, and TLS takes 36 kB.
        del self._tls, self._read, self._write
        return tls

    def close(self) -> None:
        """Close the connection; the user is not told."""
        if self.is_open:
            self._watch.close()
            self._tls.close()
            self._end()

    def abort(self) -> None:
        """Close the connection with a reset, which the other end sees though it reads nothing."""
        if self.is_open:
            self._watch.close()
            close_with_reset(self._tls.sock)
            self._end()

    def fail(self, reason: str) -> None:
        """Close the connection and tell the user."""
        if self.is_open:
            self.abort()
            self.user.channel_lost(reason)

    def break_off(self, reason: str) -> None:
        """Do as `fail` does, from any thread, in that of the loop."""
        self._loop.call(partial(self._break_off, self._loop, reason))

    def _break_off(self, loop: EventLoop, reason: str) -> None:
        if self._loop is loop:
            self.fail(reason)
        else:  # it has moved on meanwhile
            self.break_off(reason)

    def _end(self) -> None:
        self.is_open = False
        if self.on_close is not None:
            self.on_close(self)

    def _update_watch(self) -> None:
        self._watch.set((0 if self._is_paused else READ) | (WRITE if self._outbox else 0))

    def _handle(self, mask: int) -> None:
        if mask & WRITE:
            if self._outbox:
                self._flush()
            else:
                self._update_watch()
        if not self.is_open:
            return
        if not self._is_paused:
            self._receive()
        elif mask & (HANGUP | ERROR):
            # This end never shuts a channel half-way, so a hang-up means that it is broken.
            self.fail("connection lost")

    def _flush(self) -> None:
        kept, self._outbox = self._outbox, b""
        if self._send_now(kept):
            self._update_watch()
            self.user.channel_writable()

    def _send_now(self, data: bytes | memoryview) -> bool:
        sent, size = 0, len(data)
        try:
            while sent < size:
                sent += self._tls.send(data[sent:] if sent else data)
        except (WantWrite, WantRead):
            # OpenSSL wants the same bytes again, and more may follow them: keep them as they are.
            self._outbox = bytes(data[sent:])
            self._update_watch()
            return False
        except OSError as exc:
            self.fail(describe(exc))
            return False
        return True

    def _receive(self) -> None:
        buffer = self._buffer
        for _ in range(READS_PER_TURN):
            count = self._read()
            if 0 < count < MAX_RECORD:
                # A record that is not full is the last one; if it is not, the poller says so.
                self._dispatch_record(count)
                return
            if count <= 0 and not (count := self._read_or_fail()):
                return
            # Much is on its way: the fewer calls it is passed on with, the better.
            while count % MAX_RECORD == 0 and count < len(buffer):
                try:
                    more = self._tls.recv_into(buffer[count:])
                except (WantRead, WantWrite, OSError):
                    break  # what has come is passed on first; the next read meets the same again
                if not more:
                    break
                count += more
            if not self._dispatch(buffer[:count]):
                return

    def _read_or_fail(self) -> int:
        """Read a record; return 0 when there is none now, or will be none any more."""
        try:
            count = self._tls.recv_into(self._buffer)
        except WantRead:
            return 0
        except WantWrite:
            self._watch.set(READ | WRITE)
            return 0
        except OSError as exc:
            self.fail(describe(exc))
            return 0
        if not count:
            self.fail("connection closed")
        return count

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
            if message is not None or kind < FIRST_IGNORABLE_KIND:
                self.user.receive_frame(kind, message)
        return stop, True


def go_on(channel: Channel) -> None:
    """Read on, unless the answer has yet to go out; then the user is told when it has."""
    if channel.is_open and not channel.is_blocked:
        channel.resume()
