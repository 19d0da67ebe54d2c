"""The two ends of a channel that UDP sessions share: one opens subchannels, one serves them."""

from collections.abc import Callable
from typing import Final

from van.errors import RemoteProtocolError
from van.router.channels.channel import EOF_FRAME, Channel, go_on
from van.router.channels.frames import UNUSED, Unused
from van.router.channels.subchannel import SharedChannel, Subchannel
from van.router.reactor.loop import EventLoop
from van.wire.channel import CODEC, NO_REPORT, Done, Kind, Open, Opened, Share
from van.wire.flow_protocol import SHARED_EGRESS, SHARED_INGRESS
from van.wire.flow_states import State
from van.wire.framing import HEADER_SIZE, Message

MAX_UNSENT: Final = 65536
"""Bytes that the kernel keeps unsent of all sessions together, so that what is sent is fresh."""
MAX_NUMBER: Final = 0xFFFFFFFF
_OPEN: Final = int(Kind.OPEN)


class SharingIngress(SharedChannel):
    """The end that opens subchannels."""

    def __init__(
        self, loop: EventLoop, channel: Channel, on_over: Callable[["SharingIngress", bool], None]
    ) -> None:
        """`on_over` takes whether the channel can be used again, which is not this one's then."""
        super().__init__(loop, channel, SHARED_INGRESS)
        self._on_over = on_over
        self._is_over = False
        self._is_retired = False
        self._last_number = 0

    @property
    def is_usable(self) -> bool:
        """Tell whether subchannels may be opened."""
        return self._flow.may_send and self._last_number < MAX_NUMBER and not self._is_retired

    def retire(self) -> None:
        """Open no more subchannels; those that there are stay."""
        self._is_retired = True

    def start(self) -> None:
        """Share the channel from now on."""
        self.channel.hand_to(self)
        self.channel.limit_unsent(MAX_UNSENT)
        self._flow.send(Kind.SHARE)
        self.channel.send(CODEC.encode(Share()))
        self._loop.answers.begin(self, self._answer_overdue)

    def open(self) -> Subchannel:
        """Return a new subchannel, to be left with `close` or `abort`."""
        self._last_number += 1
        subchannel = Subchannel(self, self._last_number, UNUSED)
        self._subchannels[subchannel.number] = subchannel
        return subchannel

    def was_left(self, subchannel: Subchannel) -> None:
        """Forget a subchannel, and share the channel no more when it was the last one."""
        super().was_left(subchannel)
        if not self._subchannels and self._flow.may_send:
            self._flow.send(Kind.EOF)
            self._batch += EOF_FRAME
            self._flush()
            self._loop.call_later(self._loop.limits.drain_timeout, self._give_up)

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take the egress's answer, and its end; raise `RemoteProtocolError` for another frame."""
        self._flow.receive(kind)
        self._loop.answers.end(self)
        if kind == Kind.DONE:
            self.channel.limit_unsent(0)
            self._over(is_clean=True)
            self._let_go()
        elif kind in {Kind.REFUSED, Kind.RESET} or self._flow.state is State.HALF_CLOSED_REMOTE:
            raise RemoteProtocolError("a shared channel was ended by its egress")

    def channel_lost(self, reason: str) -> None:
        """Tell everybody."""
        self._flow.lose()
        self._over(is_clean=False)
        self._lose_all(reason)

    def _over(self, *, is_clean: bool) -> None:
        if not self._is_over:
            self._is_over = True
            self._loop.answers.end(self)
            self._on_over(self, is_clean)

    def _answer_overdue(self) -> None:
        self.channel.fail("the egress is silent")

    def _give_up(self) -> None:
        if not self._is_over:
            self.channel.fail("the egress did not end what was shared")


class SharingEgress(SharedChannel):
    """The end at which sessions are served; also the user of subchannels that wait for OPEN."""

    def __init__(
        self, loop: EventLoop, channel: Channel, serve: Callable[[Subchannel, Open], None]
    ) -> None:
        super().__init__(loop, channel, SHARED_EGRESS)
        self._waits = channel.user
        self._serve = serve
        self._idle = _AwaitingOpen(self)

    def start(self) -> None:
        """Share the channel, until the ingress ends that."""
        self._flow.receive(Kind.SHARE)
        self.channel.hand_to(self)
        self.channel.limit_unsent(MAX_UNSENT)
        self._flow.send(Kind.OPENED)
        self.channel.hold(Opened(NO_REPORT))

    def was_handed(self, subchannel: Subchannel) -> None:
        """Forget a subchannel whose session is over."""
        if subchannel.user is self._idle:
            subchannel.close()

    def _begin(self, number: int, frames: memoryview) -> Subchannel | None:
        """Open a subchannel, unless these frames are the last ones of a session that is over."""
        if len(frames) < HEADER_SIZE or frames[0] != _OPEN:
            return None
        subchannel = self._subchannels[number] = Subchannel(self, number, self._idle)
        return subchannel

    def serve_current(self, request: Open) -> None:
        """Begin a session on the subchannel whose frames are handed on just now."""
        assert self._current is not None
        self._serve(self._current, request)

    def receive_datagram(self, data: memoryview) -> None:
        """Hand a subchannel's frames on, and forget it if its session was refused."""
        subchannel = self._hand_on(data)
        if subchannel is not None:
            self.was_handed(subchannel)

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take the ingress's end; raise `RemoteProtocolError` for another frame."""
        self._flow.receive(kind)
        for subchannel in list(self._subchannels.values()):
            subchannel.lose("the ingress has ended what was shared")
        self._flush()
        if not self._flow.is_reset:
            self._flow.send(Kind.EOF)
        self._flow.send(Kind.DONE)
        self.channel.limit_unsent(0)
        end = b"" if kind == Kind.RESET else EOF_FRAME
        self.channel.answer(end + CODEC.encode(Done(0, NO_REPORT)))
        self.channel.hand_to(self._waits)
        go_on(self.channel)
        self._let_go()

    def _let_go(self) -> None:
        super()._let_go()
        self._idle = _AwaitingOpen(None)

    def channel_lost(self, reason: str) -> None:
        """Tell everybody."""
        if not self._flow.is_over:
            self._lose_all(reason)


class _AwaitingOpen(Unused):
    """The user of a subchannel on which no session has begun: waits for OPEN, and skips what came
    behind the end of another one."""

    def __init__(self, shared: SharingEgress | None) -> None:
        """Begin sessions there, or none any more."""
        self._shared = shared

    def receive_data(self, data: memoryview) -> None:
        """Refuse bytes: only sessions are served here."""
        raise RemoteProtocolError("a shared channel carries no stream")

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Begin a session."""
        if self._shared is not None and isinstance(message, Open) and _is_session(message):
            self._shared.serve_current(message)
        elif message is not None:
            raise RemoteProtocolError(f"frame of kind {kind} on a shared channel begins no session")


def _is_session(request: Open) -> bool:
    return request.protocol == "udp" and not request.to_all and request.membership is None
