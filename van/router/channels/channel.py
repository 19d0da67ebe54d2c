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
from van.router.channels.connection import UNSENDABLE, Connection
from van.router.channels.frames import DATA_WORD, UNUSED, ChannelUser
from van.router.reactor.lingering import reset_behind
from van.router.reactor.loop import EventLoop
from van.router.reactor.sockets import (
    close_with_reset,
)
from van.tls.connection import TlsConnection, WantRead, WantWrite
from van.tls.identity import SiteIdentity
from van.wire.channel import (
    CODEC,
    MAX_DATA,
    Farewell,
    Kind,
)
from van.wire.framing import HEADER, HEADER_SIZE, Message, pack_header

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCKED: Final = -1
"""What `forward` returns when nothing may be sent."""
MAX_FAREWELL: Final = 500
"""Characters of a reason that the other end is told."""


class Diversion(Protocol):
    """Whoever takes what comes as it comes, and cuts it into frames of his own."""

    def receive(self, data: memoryview) -> bool:
        """Take bytes, which are valid during the call only; tell whether more may be read."""

    def users(self) -> Sequence[object]:
        """Return whom these are for."""

    def last_words(self, farewell: Farewell) -> bytes:
        """Return what has yet to be sent, with a farewell behind it, before the connection ends."""


class Channel(Connection):
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
        "_diverted", "became_idle", "epoch", "neighbor", "on_close", "path", "peer",
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
        super().__init__(loop, tls, user, unread)
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
        self._diverted: Diversion | None = None

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Channel to {self.site!r} via {self.neighbor!r} {state}>"

    @property
    def site(self) -> str:
        """Return the name of the site at the other end."""
        return self.peer.site

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

    def send_datagram(self, datagram: bytes | memoryview) -> bool:
        """Send a datagram; tell whether it is on its way. If not, the user is told when one may be
        sent."""
        if self._outbox:
            return False
        self.send(pack_header(Kind.DATAGRAM, len(datagram)) + datagram)
        return True

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
            if farewell and unsent != UNSENDABLE:
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

    def _dispatch_record(self, count: int) -> None:
        if self._diverted is not None:
            self._diverted.receive(self._buffer[:count])
        else:
            super()._dispatch_record(count)

    def _dispatch(self, data: memoryview) -> bool:
        if self._diverted is not None:
            return self._diverted.receive(data)
        return super()._dispatch(data)


def _send_some(tls: TlsConnection, data: bytes) -> int:
    """Send as a socket that does not block does."""
    try:
        return tls.send(data)
    except (WantRead, WantWrite) as exc:
        raise BlockingIOError from exc
