"""What carries a flow between a client and a target of one site: two ends within this process.

To what uses them they are what subchannels are, so that an exchange is carried in one way only,
wherever its target is.
"""

from collections import deque
from typing import TYPE_CHECKING, Final

from van.router.channels.frames import UNUSED, ChannelUser
from van.router.reactor.loop import EventLoop
from van.wire.channel import CODEC, Leave
from van.wire.framing import Message

if TYPE_CHECKING:
    from van.tls.identity import SiteIdentity

WINDOW: Final = 65536
"""Payload that one end may have sent and the other not taken: as much as on a bundle."""
Said = bytes | Message | int
"""Payload, a control message, or the kind of a frame without payload."""


class LocalChannel:
    """One of two ends, both in the thread of one loop.

    What one sends, the other's user gets at the end of the turn, in order. As with a subchannel a
    flow that is over leaves it with `close`, and one that is broken off with `abort`, of which the
    other end's user hears.
    """

    __slots__ = ("_inbox", "_loop", "_outbox", "is_open", "site", "user")

    peer: "SiteIdentity | None" = None
    """Nobody had to prove anything: both programs are of this site."""
    neighbor = ""

    def __init__(self, loop: EventLoop, site: str, inbox: "_Queue", outbox: "_Queue") -> None:
        self.site = site
        """The name of the site at the other end, which is this one."""
        self.user: ChannelUser = UNUSED
        self.is_open = True
        self._loop = loop
        self._inbox = inbox
        self._outbox = outbox
        inbox.receiver = outbox.sender = self

    @classmethod
    def pair(cls, loop: EventLoop, site: str) -> "tuple[LocalChannel, LocalChannel]":
        """Return the end of the ingress, and that of the egress."""
        toward, back = _Queue(loop), _Queue(loop)
        return cls(loop, site, back, toward), cls(loop, site, toward, back)

    def __repr__(self) -> str:
        return f"<LocalChannel at {self.site}>"

    @property
    def room(self) -> int:
        """Return how much payload may be sent now; the user is told when there is some again."""
        return self._outbox.room()

    @property
    def is_blocked(self) -> bool:
        """Tell whether no data may be sent at present; the user is told when they may."""
        return self._outbox.room() <= 0

    def hand_to(self, user: ChannelUser, *, hears_out: bool = False) -> None:
        """Give it another user; the one before is not told. All that was said is handed out before
        a loss in any case."""
        self.user = user

    def send_payload(self, data: bytes | memoryview) -> None:
        """Send payload, no more than there is room for."""
        if self.is_open:
            self._outbox.put(bytes(data))

    def send_message(self, message: Message) -> None:
        """Send a control message."""
        if self.is_open:
            self._outbox.put(message)

    hold = send_message

    def send_bare(self, kind: int) -> None:
        """Send a frame without payload."""
        if self.is_open:
            self._outbox.put(kind)

    def answer(self, message: Message, *, behind: int | None = None) -> None:
        """Send what ends a flow, with a frame without payload ahead of it if there is one."""
        if behind is not None:
            self.send_bare(behind)
        self.send_message(message)

    def pause(self) -> None:
        """Keep what comes, until `resume`."""
        self._inbox.is_paused = True

    def resume(self) -> None:
        """Hand out what was kept, and what comes from now on."""
        self._inbox.is_paused = False
        self._inbox.be_due()

    def abort(self, farewell: str = "") -> None:
        """Leave it without ceremony; the user is not told, and the other end's is."""
        if self.is_open:
            self._outbox.put(Leave(farewell[:500]))
            self.close()

    def fail(self, reason: str) -> None:
        """Break the flow off, as `abort` does, and tell the user."""
        if self.is_open:
            user = self.user
            self.abort(reason)
            user.channel_lost(reason)

    def close(self) -> None:
        """Leave it; the user is not told."""
        self.is_open = False
        self.user = UNUSED
        self._inbox.clear()

    def receive(self, said: Said) -> None:
        """Hand out what the other end has said."""
        if isinstance(said, bytes):
            self.user.receive_data(memoryview(said))
        elif isinstance(said, int):
            self.user.receive_frame(said, None)
        elif isinstance(said, Leave):
            user = self.user
            self.close()
            user.channel_lost(said.reason or "broken off")
        else:
            self.user.receive_frame(CODEC.kind_of(said), said)


class _Queue:
    """What one end has said and the other has yet to hear."""

    __slots__ = (
        "_is_due",
        "_is_full",
        "_loop",
        "_said",
        "_size",
        "is_paused",
        "receiver",
        "sender",
    )

    receiver: LocalChannel
    sender: LocalChannel

    def __init__(self, loop: EventLoop) -> None:
        self.is_paused = False
        """Whether the receiver takes nothing but that the sender has left."""
        self._loop = loop
        self._said: deque[Said] = deque()
        self._size = 0
        """Payload in it."""
        self._is_due = False
        self._is_full = False
        """Whether the sender has been told to wait."""

    def room(self) -> int:
        """Return how much payload may be put; the sender's user is told when there is some."""
        room = WINDOW - self._size
        self._is_full = room <= 0
        return room

    def put(self, said: Said) -> None:
        """Have something handed out at the end of the turn."""
        self._said.append(said)
        if isinstance(said, bytes):
            self._size += len(said)
        if isinstance(said, Leave) and self.is_paused:
            self._said = deque([said])  # nobody takes what came before
            self.is_paused = False
        self.be_due()

    def be_due(self) -> None:
        """Hand out at the end of the turn what may be."""
        if self._said and not self._is_due and not self.is_paused:
            self._is_due = True
            self._loop.at_turn_end(self._deliver)

    def clear(self) -> None:
        """Forget what nobody hears any more."""
        self._said.clear()
        self._size = 0

    def _deliver(self) -> None:
        self._is_due = False
        while self._said and self.receiver.is_open and not self.is_paused:
            said = self._said.popleft()
            if isinstance(said, bytes):
                self._size -= len(said)
            self.receiver.receive(said)
        if self._is_full and self._size < WINDOW and self.sender.is_open:
            self._is_full = False
            self.sender.user.channel_writable()
