"""One TLS connection to another site in the readiness loop: what has come is cut and handed on, and
the little that could not be sent at once is kept. Whose it is, and what is said on it, is the
channel's.
"""

from functools import partial
from typing import TYPE_CHECKING, Final

from van.router.channels.frames import ChannelUser, FrameCutter
from van.router.reactor.congestion import congestion_of, control_congestion
from van.router.reactor.loop import EventLoop
from van.router.reactor.poller import ERROR, HANGUP, READ, WRITE
from van.router.reactor.sockets import describe, limit_unsent, unacknowledged, unread
from van.router.reactor.tcp_info import TcpInfo, tcp_info
from van.router.reactor.watch import Movable
from van.tls.connection import TlsConnection, WantRead, WantWrite
from van.wire.channel import CODEC, MAX_RECORD
from van.wire.framing import Message

if TYPE_CHECKING:
    from collections.abc import Callable

READS_PER_TURN: Final = 2
"""Buffers that one connection may fill before the others have their turn."""
UNSENDABLE: Final = b"\0"
"""Waits to be sent, for ever, on a connection that is broken."""


class Connection(FrameCutter):
    """Reads records, as long as it is not paused, and sends what it is given, in order.

    All in the thread of its loop; between `move_to` and `arrive` it has none, and nobody may call.
    """

    __slots__ = (
        "_hears_out", "_held", "_loop", "_outbox", "_payload", "_read", "_tls", "_watch", "_write",
    )  # fmt: skip

    def __init__(
        self, loop: EventLoop, tls: TlsConnection, user: ChannelUser, unread: bytes
    ) -> None:
        super().__init__(user, loop.buffer, unread)
        if loop.limits.congestion:
            control_congestion(tls.sock, loop.limits.congestion)
        self._payload = loop.payload
        self._loop = loop
        self._tls = tls
        self._read = tls.reader(loop.storage)
        self._write = tls.writer(loop.storage)
        self._held = b""
        self._outbox = b""
        self._hears_out = False
        """Whether the user hears of a loss when all that came before has been handed out."""
        self._watch = loop.watch(tls.fileno(), READ, self._handle, self.fail)

    @property
    def is_blocked(self) -> bool:
        """Tell whether bytes wait to be sent; a user sends no data meanwhile."""
        return bool(self._outbox)

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
        self._outbox = self._outbox or UNSENDABLE
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
