"""A flow's part of a bundle; to its user it is a channel.

What differs is what holds a flow up: not the connection, which others use as well, but the flow's
credit. A user that pauses it gets what comes meanwhile when it goes on, which is a window at most.
"""

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from van.errors import RemoteProtocolError
from van.router.channels.channel import BLOCKED, MAX_FAREWELL, Channel
from van.router.channels.frames import UNUSED, ChannelUser
from van.tls.identity import SiteIdentity
from van.wire import framing
from van.wire.bundle import HEADER, HEADER_SIZE, MAX_DATA
from van.wire.channel import CODEC, MAX_RECORD, Kind, Leave
from van.wire.credit import FlowCredit
from van.wire.framing import FIRST_IGNORABLE_KIND, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from van.router.bundles.bundle import Bundle
    from van.router.reactor.bursts import Burst

# To look a member of an enum up takes longer than to do something with it.
_DATA: Final = int(Kind.DATA)
_DATAGRAM: Final = int(Kind.DATAGRAM)
_EOF: Final = int(Kind.EOF)
_RESET: Final = int(Kind.RESET)
_PENDING: Final = int(Kind.PENDING)
_CREDIT: Final = int(Kind.CREDIT)
_LEAVE: Final = int(Kind.LEAVE)
_MOVED: Final = int(Kind.MOVED)
_BULK: Final = int(Kind.BULK)
_DATA_WORD: Final = _DATA << 24
_DATAGRAM_WORD: Final = _DATAGRAM << 24
_LATE: Final = MAX_RECORD * 3 // 4
"""Bytes in a record behind which a program's are not read to any more, but to the next one."""
_BARE: Final = frozenset({_EOF, _RESET, _MOVED})
_MAX_KEPT: Final = 16
"""Frames that wait for a user that has paused, where DATA in a row is one: more than a flow has."""


class Subchannel:
    """Sends and receives one flow's frames.

    All in the thread of the bundle's loop. A flow that is over leaves it with `close`; one that is
    broken off, with `abort`, which the other end is told of. Its loss is told to the user with
    `channel_lost`, unless the user has asked for it. A call on a closed one does nothing.
    """

    __slots__ = (
        "_hears_out", "_is_begun", "_is_paused", "_kept", "_lost", "_untaken", "bundle", "credit",
        "is_open", "number", "on_bulk", "on_burst", "user",
    )  # fmt: skip

    max_payload = MAX_DATA
    """Payload of the largest DATA frame."""

    def __init__(
        self, bundle: "Bundle", number: int, user: ChannelUser, *, is_begun: bool = False
    ) -> None:
        """`is_begun` if the other end has opened it."""
        self.bundle = bundle
        self.number = number
        self.user = user
        self.is_open = True
        self.credit = FlowCredit()
        self.on_bulk: Callable[[], object] | None = None
        """Called at the ingress when the flow turns out to be bulk, and again while it is."""
        self.on_burst: Burst | None = None
        """Takes datagrams that came together, where the user does not want each."""
        self._hears_out = False
        self._lost = ""
        """Why there is no way to the other end any more, while what came before is handed out."""
        self._is_begun = is_begun
        """Whether the other end may know of it."""
        self._is_paused = False
        self._untaken = 0
        """Payload that was handed to the user, who has yet to get rid of it."""
        self._kept: deque[tuple[int, bytearray]] | None = None
        """What has come since the user paused; DATA in a row is one, however small its frames."""

    def __repr__(self) -> str:
        return f"<Subchannel {self.number} of {self.bundle!r}>"

    @property
    def peer(self) -> SiteIdentity:
        """Return the site at the other end, as its certificate says."""
        return self.bundle.channel.peer

    @property
    def site(self) -> str:
        """Return the name of the site at the other end."""
        return self.bundle.channel.peer.site

    @property
    def neighbor(self) -> str:
        """Return the neighbour over whose link the bundle runs."""
        return self.bundle.channel.neighbor

    @property
    def path(self) -> tuple[str, ...]:
        """Return the sites that the bundle runs through, if that is known."""
        return self.bundle.channel.path

    @property
    def is_blocked(self) -> bool:
        """Tell whether no data may be sent at present; the user is told when they may."""
        if self.bundle.is_full:
            self.bundle.wake_later(self)
            return True
        return self.credit.room <= 0

    @property
    def room(self) -> int:
        """Return how much payload may be sent now; the user is told when there is some again."""
        if self.bundle.is_full:
            self.bundle.wake_later(self)
            return 0
        return self.credit.room

    @property
    def unsent(self) -> int:
        """Return how many bytes the other end's program is not known to have taken."""
        return self.credit.unacknowledged

    # -- for the user --------------------------------------------------------------------------

    def hand_to(self, user: ChannelUser, *, hears_out: bool = False) -> None:
        """Give it another user; the one before is not told. Whether it is paused stays. One who
        hears it out hears of a loss when all that came before that has been handed out."""
        self.user = user
        self._hears_out = hears_out

    def forward(self, receive: "Callable[[memoryview], int]") -> int:
        """Send what a program says, which `receive` puts into a buffer, in this turn of the loop.

        Returns the number of bytes, `BLOCKED` if none may be sent at present, of which the user is
        told when they may, or 0 if `receive` does. What it raises is passed on.
        """
        bundle, credit = self.bundle, self.credit
        if bundle.used > _LATE:
            bundle.flush()
        room = credit.room
        if bundle.is_full or room <= 0:
            return self._wait_for_room()
        begin = bundle.used + HEADER_SIZE
        count = receive(bundle.out[begin : begin + room])  # as far as that goes
        if count:
            credit.room = room - count
            HEADER.pack_into(bundle.out, bundle.used, _DATA_WORD | count, self.number)
            bundle.used = begin + count
            if not bundle.is_due:
                bundle.be_due()
        return count

    def _wait_for_room(self) -> int:
        if self.bundle.is_full:
            self.bundle.wake_later(self)
        return BLOCKED

    def send(self, data: bytes | memoryview) -> bool:
        """Send whole frames, as they are on a channel, in this turn of the loop; tell whether data
        may follow at once."""
        if not self.is_open:
            return False
        self._is_begun = True
        offset, end = 0, len(data)
        while offset < end:
            word = framing.HEADER.unpack_from(data, offset)[0]
            offset += framing.HEADER_SIZE
            kind, size = word >> 24, word & 0xFFFFFF
            if kind == _DATA:
                self.credit.sent(size)
            self.bundle.add(kind, self.number, data[offset : offset + size])
            offset += size
        return not self.is_blocked

    def send_datagram(self, datagram: bytes | memoryview) -> bool:
        """Send a datagram in this turn of the loop; tell whether it is on its way. If not, the user
        is told when one may be sent."""
        bundle = self.bundle
        begin = bundle.used + HEADER_SIZE
        end = begin + len(datagram)
        if bundle.is_full or end > MAX_RECORD or not self.is_open:
            return self._send_apart(datagram)
        HEADER.pack_into(bundle.out, bundle.used, _DATAGRAM_WORD | (end - begin), self.number)
        bundle.out[begin:end] = datagram
        bundle.used = end
        if not bundle.is_due:
            bundle.be_due()
        return True

    def _send_apart(self, datagram: bytes | memoryview) -> bool:
        """Send a datagram in a record of its own, or the next one, if any may be sent."""
        if self.bundle.is_full:
            self.bundle.wake_later(self)
            return False
        if self.is_open:
            self.bundle.add(_DATAGRAM, self.number, datagram)
        return True

    def send_payload(self, data: bytes | memoryview) -> None:
        """Send payload in this turn of the loop, no more than there is room for."""
        if self.is_open:
            self.credit.sent(len(data))
            for offset in range(0, len(data), MAX_DATA):
                self.bundle.add(_DATA, self.number, data[offset : offset + MAX_DATA])

    def send_message(self, message: Message, *, may_wait: bool = False) -> None:
        """Send one control message in this turn of the loop; one that may wait, with what is sent
        next on the bundle, or when the loop pauses."""
        if self.is_open:
            self._is_begun = True
            kind, payload = CODEC.encode_apart(message)
            self.bundle.add(kind, self.number, payload, may_wait=may_wait)

    def send_bare(self, kind: int) -> None:
        """Send a frame without payload in this turn of the loop."""
        if self.is_open:
            self.bundle.add(kind, self.number)

    def hold(self, message: Message) -> None:
        """Send a control message with what is sent next on the bundle, or when the loop pauses."""
        self.send_message(message, may_wait=True)

    def answer(self, message: Message, *, behind: int | None = None) -> None:
        """Send what ends a flow, with a frame without payload ahead of it if there is one. Until it
        can go out nothing more is read from the bundle, so that answers which nobody takes pile up
        nowhere."""
        if behind is not None:
            self.send_bare(behind)
        self.send_message(message)
        if self.bundle.is_full and self.is_open:
            self.bundle.channel.pause()

    def belong_to(self, whole: object) -> None:
        """Do nothing: a bundle stays in its loop."""

    def pause(self) -> None:
        """Keep what comes, until `resume`."""
        self._is_paused = True

    def resume(self) -> None:
        """Hand out what was kept, and what comes from now on."""
        self._is_paused = False
        untaken, self._untaken = self._untaken, 0
        if not self.is_open:
            return
        if untaken and self.credit.took(untaken):
            self._send_credit()
        try:
            while self._kept and not self._is_paused and self.is_open:
                kind, payload = self._kept.popleft()
                self.bundle.kept -= len(payload)
                self._hand_out(kind, memoryview(payload))
        except RemoteProtocolError as exc:
            self.bundle.channel.fail(str(exc))
        if self._lost and not self._kept and not self._is_paused:
            self._lose(self._lost)

    def abort(self, farewell: str = "") -> None:
        """Leave it without ceremony, and tell the other end, and why if that is given; the user is
        not told."""
        if self.is_open:
            if self._is_begun:
                self.send_message(Leave(farewell[:MAX_FAREWELL]))
            self.close()

    def leave(self, *, is_clean: bool) -> None:
        """Leave it with `close` after a flow that has ended in order, and else with `abort`."""
        if is_clean:
            self.close()
        else:
            self.abort()

    def fail(self, reason: str) -> None:
        """Break the flow off, as `abort` does, and tell the user."""
        if self.is_open:
            user = self.user
            self.abort(reason)
            user.channel_lost(f"path lost: {reason}")

    def close(self) -> None:
        """Leave it; the user is not told."""
        if self.is_open:
            self.is_open = False
            self.user = UNUSED
            self.on_bulk = self.on_burst = None
            if self._kept:
                self.bundle.kept -= sum(len(payload) for _, payload in self._kept)
            self._kept = None
            self.bundle.was_left(self)

    def lose(self, reason: str) -> None:
        """Tell the user that there is no way to the other end any more."""
        if self._hears_out and self._kept:
            self._lost = reason
            self._look_for_stall()
        else:
            self._lose(reason)

    def _lose(self, reason: str) -> None:
        if self.is_open:
            user = self.user
            self.close()
            user.channel_lost(reason)

    def _look_for_stall(self) -> None:
        self.bundle.check_later(partial(self._check_stall, len(self._kept or ())))

    def _check_stall(self, left: int) -> None:
        """Lose what nobody takes any more, as a reset would have overtaken it."""
        if self.is_open and self._lost:
            if len(self._kept or ()) == left:
                self._lose(self._lost)
            else:
                self._look_for_stall()

    # -- from the bundle -----------------------------------------------------------------------

    def receive(self, kind: int, payload: memoryview) -> None:
        """Take a frame; raise `RemoteProtocolError` if it can't be."""
        was_paused = self._is_paused
        if kind == _DATA:
            if was_paused:
                self.credit.received(len(payload))
                self._keep(kind, payload)
                return
            self.user.receive_data(payload)
            if self._is_paused:
                self.credit.received(len(payload))
                self._untaken += len(payload)
            elif self.credit.passed(len(payload)):
                self._send_credit()
        elif kind == _DATAGRAM:
            self.user.receive_datagram(payload)
        elif kind == _CREDIT:
            self._receive_credit(payload)
        elif kind == _BULK:
            self._receive_bulk()
        elif kind == _LEAVE:
            self.lose(self._why_left(payload))
        elif was_paused:
            self._keep(kind, payload)
        else:
            self._hand_out(kind, payload)

    def _why_left(self, payload: memoryview) -> str:
        message = CODEC.decode(_LEAVE, payload)
        if isinstance(message, Leave) and message.reason:
            return f"site {self.site!r} ended it: {message.reason}"
        return "path lost: broken off"

    def _receive_bulk(self) -> None:
        self.bundle.check_bulk()
        if self.on_bulk is not None:
            self.on_bulk()

    def _receive_credit(self, payload: memoryview) -> None:
        was_blocked = self.credit.room <= 0
        self.credit.receive_credit(payload)
        if was_blocked and self.credit.room > 0:
            self.user.channel_writable()
        if self.credit.is_bulk() and self.is_open:
            self.bundle.had_bulk = True
            if self.on_bulk is not None:
                self.on_bulk()
            elif self.bundle.asks_for_channels:
                self.bundle.add(_BULK, self.number)

    def _hand_out_kept(self, payload: memoryview) -> None:
        self.user.receive_data(payload)
        if self._is_paused:
            self._untaken += len(payload)
        elif self.credit.took(len(payload)):
            self._send_credit()

    def _send_credit(self) -> None:
        if self.is_open:
            self.bundle.add(_CREDIT, self.number, self.credit.credit())

    def _hand_out(self, kind: int, payload: memoryview) -> None:
        if kind == _DATA:
            self._hand_out_kept(payload)
        elif kind in _BARE:
            self.user.receive_frame(kind, None)
        else:
            message = CODEC.decode(kind, payload)
            if message is not None or kind < FIRST_IGNORABLE_KIND:
                self.user.receive_frame(kind, message)

    def _keep(self, kind: int, payload: memoryview) -> None:
        kept = self._kept
        if kept is None:
            kept = self._kept = deque()
        last = kept[-1][0] if kept else None
        if kind == last == _PENDING:
            return
        if kind == last == _DATA:
            kept[-1][1].extend(payload)
        elif len(kept) < _MAX_KEPT:
            kept.append((kind, bytearray(payload)))
        else:
            raise RemoteProtocolError(f"more than {_MAX_KEPT} frames of a flow wait")
        self.bundle.kept += len(payload)
        if self.bundle.is_keeping_too_much:
            self.fail("too much waits for what this site's programs read")


FlowName = tuple[str, bytes, int]
"""The key of the ingress, what it calls the bundle on which it opened a flow, and the number that
the flow had there."""
Carrier = Channel | Subchannel
"""What carries a flow's frames."""
