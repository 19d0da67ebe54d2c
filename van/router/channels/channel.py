"""A channel: one TLS connection to another site, for a bundle of flows, or for one that is bulk.

The channel cuts what arrives into frames and hands them to its present *user* (an idle pool entry,
the stream of a flow, a branch; a bundle cuts for itself), and keeps the little that could not be
sent at once. It is paused and resumed by its user; that is how the kernel's window becomes the
flow's back-pressure.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from van.errors import RemoteProtocolError
from van.router.channels.frames import DATA_WORD, UNUSED, ChannelUser, FrameCutter
from van.router.reactor.congestion import congestion_of, control_congestion
from van.router.reactor.lingering import reset_behind
from van.router.reactor.loop import EventLoop
from van.router.reactor.poller import ERROR, HANGUP, READ, WRITE
from van.router.reactor.sockets import (
    close_with_reset,
    describe,
    limit_unsent,
    unacknowledged,
    unread,
)
from van.router.reactor.tcp_info import TcpInfo, tcp_info
from van.router.reactor.watch import Movable
from van.tls.connection import TlsConnection, WantRead, WantWrite
from van.tls.identity import SiteIdentity
from van.wire.channel import (
    CODEC,
    MAX_DATA,
    MAX_RECORD,
    Farewell,
    Kind,
)
from van.wire.framing import HEADER, HEADER_SIZE, Message, pack_header

if TYPE_CHECKING:
    from collections.abc import Callable

READS_PER_TURN: Final = 2
"""Buffers that one channel may fill before the others have their turn."""
BLOCKED: Final = -1
"""What `forward` returns when nothing may be sent."""
MAX_FAREWELL: Final = 500
"""Characters of a reason that the other end is told."""
_UNSENDABLE: Final = b"\0"
"""Waits to be sent, for ever, on a connection that is broken."""


class Diversion(Protocol):
    """Whoever takes what comes as it comes, and cuts it into frames of his own."""

    def receive(self, data: memoryview) -> bool:
        """Take bytes, which are valid during the call only; tell whether more may be read."""

    def users(self) -> Sequence[object]:
        """Return whom these are for."""

    def last_words(self, farewell: Farewell) -> bytes:
        """Return what has yet to be sent, with a farewell behind it, before the connection ends."""


class Channel(FrameCutter):
    """Sends and receives frames for its user, keeps what could not be sent, and knows where it
    leads.

    It owns its TLS connection, until `detach` or its end. All but `break_off` is for the thread of
    its event loop; between `move_to` and `arrive` it has none, and nobody may call. What was sent
    goes out in order, or the channel is lost. Its end is told once: to `on_close` always, and to
    the user, with `channel_lost`, unless the user has asked for it with `close`, `abort`, or
    `detach`. A call on a closed channel does nothing. No task waits in it, so there is nothing to
    cancel.
    """

    __slots__ = (
        "_diverted", "_hears_out", "_held", "_loop", "_outbox", "_payload", "_read", "_tls",
        "_watch", "_write", "became_idle", "epoch", "neighbor", "on_close", "path", "peer",
    )  # fmt: skip

    max_payload = MAX_DATA
    """Payload of the largest DATA frame."""

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
        super().__init__(user, loop.buffer, unread)
        self._payload = loop.payload
        self.peer = peer
        """The site at the other end, as its certificate says."""
        self.neighbor = neighbor
        """The neighbour over whose link the channel runs: the site itself, or the first relay."""
        self.path: tuple[str, ...] = ()
        """The sites that it runs through, both ends included; empty where that is not known."""
        self.became_idle = 0.0
        self.epoch = 0
        """Which of our certificates it was made with: a pool keeps only those of the newest."""
        self.on_close: Callable[[Channel], None] | None = None
        """Called in the thread of the loop."""
        if loop.limits.congestion:
            control_congestion(tls.sock, loop.limits.congestion)
        self._loop = loop
        self._tls = tls
        self._read = tls.reader(loop.storage)
        self._write = tls.writer(loop.storage)
        self._held = b""
        self._outbox = b""
        self._hears_out = False
        self._diverted: Diversion | None = None
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

    def hand_to(self, user: ChannelUser, *, hears_out: bool = False) -> None:
        """Give the channel another user; the one before is not told.

        What comes from now on is the new one's, and so is its loss. Whether it is paused stays. One
        who hears it out resumes it sooner or later, and hears of a loss when all that came before
        that has been handed out; any other one hears of it at once.
        """
        if self.is_open:
            self.user = user
            if self._hears_out and not hears_out:
                self._update_watch()  # of a loss that was kept back
            self._hears_out = hears_out

    def divert(self, diversion: Diversion) -> None:
        """Give whatever comes from now on to somebody as it comes, for good. The user is told of
        all else as before."""
        if self.is_open:
            self._diverted = diversion

    def users(self) -> Sequence[object]:
        """Return who uses it at present."""
        return [self.user] if self._diverted is None else self._diverted.users()

    def go_on(self) -> None:
        """Read on, for the next flow, unless the answer to the last one has yet to go out; then the
        user is told when it has."""
        if self.is_open and not self.is_blocked:
            self.resume()

    def forward(self, receive: "Callable[[memoryview], int]") -> int:
        """Send what a program says, which `receive` puts into a buffer.

        Returns the number of bytes, `BLOCKED` if none may be sent at present, of which the user is
        told when they may, or 0 if `receive` does. What it raises is passed on.
        """
        if self._outbox:
            return BLOCKED
        count = receive(self._payload)
        if count:
            HEADER.pack_into(self._buffer, 0, DATA_WORD | count)
            self.send_buffer(HEADER_SIZE + count)
        return count

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

    def send_datagram(self, datagram: bytes | memoryview) -> bool:
        """Send a datagram; tell whether it is on its way. If not, the user is told when one may be
        sent."""
        if self._outbox:
            return False
        self.send(pack_header(Kind.DATAGRAM, len(datagram)) + datagram)
        return True

    def sender(self, storage: bytearray) -> "Callable[[int], bool]":
        """Return a function that sends so many bytes from the start of a buffer, as `send` does, at
        the least cost. Whoever has it lets go of it with the channel, whose memory it holds."""
        view, write = memoryview(storage), self._tls.writer(storage)

        def send(size: int) -> bool:
            if self._outbox or self._held or not self.is_open:
                return self.send(view[:size])
            sent = write(size)
            return sent == size or self._send_now(view[max(0, sent) : size])

        return send

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

    def send_message(self, message: Message) -> None:
        """Send one control message, as `send` does."""
        self.send(CODEC.encode(message))

    def send_bare(self, kind: int) -> None:
        """Send a frame without payload, as `send` does."""
        self.send(pack_header(kind, 0))

    def answer(self, message: Message, *, behind: int | None = None) -> None:
        """Send what ends a flow, with a frame without payload ahead of it if there is one. Until it
        has gone out nothing more is read: an ingress that does not take answers can ask no more,
        and they pile up nowhere."""
        ahead = b"" if behind is None else pack_header(behind, 0)
        if not self.send(ahead + CODEC.encode(message)):
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

    @property
    def unsent(self) -> int:
        """Return how many bytes have not got to the other end of the connection yet, if that can
        be told."""
        return len(self._outbox) + unacknowledged(self._tls.sock) if self.is_open else 0

    @property
    def is_paused(self) -> bool:
        """Tell whether nothing is handed out at present."""
        return self._is_paused

    def tcp_info(self) -> TcpInfo | None:
        """Return what the kernel tells of the connection, if it tells enough."""
        return tcp_info(self._tls.sock) if self.is_open else None

    @property
    def congestion(self) -> str:
        """Return the connection's congestion control, as the kernel tells; empty if it does not."""
        return congestion_of(self._tls.sock) if self.is_open else ""

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
            self._payload = loop.payload
            self._read = self._tls.reader(loop.storage)
            self._write = self._tls.writer(loop.storage)
            self._watch = loop.watch(self._tls.fileno(), None, self._handle, self.fail)
            self._update_watch()

    @property
    def may_move(self) -> bool:
        """Tell whether nothing is held back for the loop's next pause."""
        return self.is_open and not self._held

    def belong_to(self, whole: Movable[EventLoop] | None) -> None:
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
        tls = self._tls
        self._end()
        return tls

    def close(self) -> None:
        """Close the connection; the user is not told."""
        if self.is_open:
            self._watch.close()
            self._tls.close()
            self._end()

    def abort(self, farewell: str = "") -> None:
        """Close the connection with a reset, which the other end sees though it reads nothing; what
        it is to be told of that goes ahead of the reset."""
        if self.is_open:
            self._watch.close()
            tls, unsent = self._tls, self._outbox
            if farewell and unsent != _UNSENDABLE:
                unsent += self._last_words(Farewell(farewell[:MAX_FAREWELL]))
                reset_behind(self._loop, tls.sock, unsent, send=partial(_send_some, tls))
            else:
                close_with_reset(tls.sock)
            self._end()

    def _last_words(self, farewell: Farewell) -> bytes:
        if self._diverted is not None:
            return self._diverted.last_words(farewell)
        return self._held + CODEC.encode(farewell)

    def hear_farewell(self, farewell: Farewell) -> None:
        """Take note of why the other end is about to break the connection off."""
        self._farewell = farewell.reason

    def fail(self, reason: str) -> None:
        """Close the connection and tell the user that the path is lost, or what the other end has
        said of that."""
        if self.is_open:
            user, why = self.user, self._why_lost(reason)
            # The last words of a flow that is over may be on their way still.
            (self.abort if self._hears_out else self.close)()
            user.channel_lost(why)

    def break_off(self, reason: str, *, is_told: bool = False) -> None:
        """Do as `fail` does, from any thread, in that of the loop; if the other end is told why, it
        is not the path that is lost."""
        self._loop.call(partial(self._break_off, self._loop, reason, is_told))

    def _break_off(self, loop: EventLoop, reason: str, is_told: bool) -> None:  # noqa: FBT001
        if self._loop is not loop:  # it has moved on meanwhile
            self.break_off(reason, is_told=is_told)
        elif not is_told:
            self.fail(reason)
        elif self.is_open:
            user = self.user
            self.abort(reason)
            user.channel_lost(reason)

    def _end(self) -> None:
        """Hold nothing any more: whoever used the channel may hold it, and TLS takes 36 kB."""
        self.is_open = False
        self.user = UNUSED
        self._diverted = None
        self._watch.forget()
        self._inbox = self._outbox = self._held = b""
        del self._tls, self._read, self._write
        if self.on_close is not None:
            self.on_close(self)

    def _update_watch(self) -> None:
        self._watch.set((0 if self._is_paused else READ) | (WRITE if self._outbox else 0))

    def _handle(self, mask: int) -> None:
        if mask & (HANGUP | ERROR):
            self._hear_out()
            return
        if mask & WRITE:
            if self._outbox:
                self._flush()
            else:
                self._update_watch()
        if self.is_open and not self._is_paused:
            self._receive()

    def _hear_out(self) -> None:
        """Read what came before the connection broke.

        This end never shuts a channel half-way, so a hang-up means that it is broken.
        """
        # After a write that failed OpenSSL reads nothing more, so that none is tried from now on.
        self._outbox = self._outbox or _UNSENDABLE
        if not self._is_paused:
            self._receive()
        elif self._hears_out and (unread := self._unread()):
            self._watch.suspend()
            check = partial(self._loop.call, partial(self._check_stall, unread))
            self._loop.call_later(self._loop.limits.stall_timeout, check)
        else:
            self.fail("connection lost")

    def _check_stall(self, unread: int) -> None:
        if self.is_open and self._is_paused:
            if self._unread() == unread:
                self.fail("connection lost")
            else:
                self._hear_out()

    def _unread(self) -> int:
        return len(self._inbox) + self._tls.pending() + unread(self._tls.sock)

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

    def _dispatch_record(self, count: int) -> None:
        if self._diverted is not None:
            self._diverted.receive(self._buffer[:count])
        else:
            super()._dispatch_record(count)

    def _dispatch(self, data: memoryview) -> bool:
        if self._diverted is not None:
            return self._diverted.receive(data)
        return super()._dispatch(data)

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


def _send_some(tls: TlsConnection, data: bytes) -> int:
    """Send as a socket that does not block does."""
    try:
        return tls.send(data)
    except (WantRead, WantWrite) as exc:
        raise BlockingIOError from exc
