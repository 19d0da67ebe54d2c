"""The paths on which a client's UDP session goes to the instance that it is pinned to.

One leads over a channel to another site, the other to a target of this one.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final, Protocol

from van.router.bundles.subchannel import Subchannel
from van.router.egress.session import ServedSocket, SessionTarget
from van.router.flow.datagrams import SessionEnd
from van.router.flow.drops import DropCause, Drops
from van.router.flow.outcome import FINISHED, Ending, OnEnd, Outcome
from van.router.reactor.loop import EventLoop
from van.wire.channel import Done, Kind, Open, Opened, Pending, Refused, Report
from van.wire.flow_protocol import SESSION_INGRESS
from van.wire.flow_states import State
from van.wire.framing import Message

TARGET_GONE: Final = "the target takes no more"
_DATAGRAM: Final = int(Kind.DATAGRAM)


class ReplyReceiver(Protocol):
    """Whoever the session is carried for."""

    def flow_opened(self, report: Report | None) -> None:
        """Take note that the instance takes the session."""

    def receive_reply(self, data: memoryview) -> None:
        """Take a datagram from the instance; the view is valid during the call only."""


class SessionPath(Protocol):
    """What takes a client's datagrams to an instance."""

    report: Report | None
    """The last one that came."""

    def send(self, datagram: bytes | memoryview, /) -> None:
        """Send a datagram."""

    def end(self) -> None:
        """End the session in order; the outcome may come later."""

    def abort(self, detail: str, /) -> None:
        """Break the session off, unless it has ended."""


class ChannelPath(SessionEnd):
    """The ingress's end of a session on a channel: opens it, and ends it."""

    __slots__ = ("_receiver", "report")

    def __init__(
        self,
        loop: EventLoop,
        channel: Subchannel,
        receiver: ReplyReceiver,
        on_end: OnEnd,
        drops: Drops,
    ) -> None:
        """Use a channel until `on_end` is called, in which REFUSED means that no target took the
        session."""
        super().__init__(loop, channel, SESSION_INGRESS, on_end, drops)
        self.report: Report | None = None
        self._receiver = receiver

    def start(self, request: Open, first: Iterable[bytes]) -> None:
        """Send OPEN with the datagrams that have come so far, in the same record."""
        self.channel.hand_to(self)
        self._flow.send(Kind.OPEN)
        if not self.channel.is_open:
            self.channel_lost("path lost: it was closed already")
            return
        self.channel.send_message(request)
        for datagram in first:
            self.send(datagram)
        if not self._flow.is_over:
            self._loop.answers.begin(self, self._answer_overdue)

    def send(self, datagram: bytes | memoryview) -> None:
        """Send a datagram, unless no instance takes it any more."""
        if not self._flow.may_send:
            self._drops[DropCause.NO_INSTANCE] += 1
        elif not self.channel.send_datagram(datagram):
            self._keep(datagram)

    def end(self) -> None:
        """Send EOF, and wait for a while for the egress to be through with the channel."""
        if self._flow.may_send:
            self.drop_kept()
            self._flow.send(Kind.EOF)
            self.channel.send_bare(Kind.EOF)
            self._give_up_later()

    def _answer_overdue(self) -> None:
        self.channel.abort("the egress did not answer in time")
        self._flow.lose()
        self._finish(Outcome(Ending.REFUSED, "it did not answer", is_silent=True))

    def _give_up_later(self) -> None:
        self._loop.call_later(
            self._loop.limits.drain_timeout, partial(self.abort, "the egress did not end it")
        )

    # -- from the channel ------------------------------------------------------------------

    def receive_datagram(self, data: memoryview) -> None:
        """Hand a datagram on, unless the session has ended."""
        if not self._flow.takes_payload:
            self._flow.receive(_DATAGRAM)
        elif self._flow.may_send:  # else the client has gone
            self._receiver.receive_reply(data)

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take any other frame; raise `RemoteProtocolError` if it is out of place."""
        before = self._flow.receive(kind)
        match message:
            case Opened():
                self._loop.answers.end(self)
                self.report = message.report
                self._receiver.flow_opened(message.report)
            case Refused():
                self._finish(
                    Outcome(Ending.REFUSED, message.message, message.reason, is_channel_clean=True)
                )
            case Done() if before is State.CLOSING:
                self.report = message.report
                self._finish(FINISHED)
            case Done():
                self.report = message.report
                self._finish(Outcome(Ending.RESET, TARGET_GONE, is_channel_clean=True))
            case Pending():
                if not self._flow.is_answered:
                    self._loop.answers.begin(self, self._answer_overdue)
            case None if kind == Kind.RESET:
                self._give_up_later()
            case _:
                self.end()  # a session has no halves

    def channel_lost(self, reason: str) -> None:
        """End the session; without an answer it may be offered elsewhere."""
        if self._flow.is_answered or self._flow.is_over:
            super().channel_lost(reason)
        else:
            self._flow.lose()
            self._finish(Outcome(Ending.REFUSED, reason))

    def _finish(self, outcome: Outcome) -> None:
        self._loop.answers.end(self)
        super()._finish(outcome)


class LocalPath:
    """Leads to a target of this site."""

    __slots__ = ("_is_opened", "_is_over", "_on_end", "_receiver", "_target", "report", "send")

    def __init__(
        self,
        loop: EventLoop,
        target: ServedSocket,
        receiver: ReplyReceiver,
        on_end: OnEnd,
        drops: Drops,
    ) -> None:
        """Own the socket; the target is told why it does not take datagrams any more."""
        self._receiver = receiver
        self._on_end = on_end
        self._is_opened = False
        self._is_over = False
        self._target = SessionTarget(
            loop,
            target,
            drops,
            on_datagram=self._heard,
            on_quiet=self._open,
            on_failure=self._target_failed,
        )
        self.report: Report | None = self._target.served.report
        self.send = self._target.send
        """Send a datagram."""

    def start(self, first: Iterable[bytes]) -> None:
        """Send what has come so far; soon it is known whether the target is there."""
        for datagram in first:
            self.send(datagram)
            if self._is_over:
                return
        if why := self._target.error():
            self._target_failed(why)

    def _open(self) -> None:
        """Take the target for one that is there: it has answered, or nothing spoke against it."""
        if not self._is_opened and not self._is_over:
            self._is_opened = True
            self._receiver.flow_opened(self._target.served.report)

    def end(self) -> None:
        """End the session."""
        self._end(FINISHED)

    def abort(self, detail: str) -> None:
        """End the session: there is no other way to break it off."""
        self._end(Outcome(Ending.RESET, detail))

    def _heard(self, data: memoryview) -> None:
        self._open()
        self._receiver.receive_reply(data)

    def _target_failed(self, reason: str) -> None:
        self._target.served.refused(reason)
        self._end(Outcome(Ending.RESET if self._is_opened else Ending.REFUSED, reason))

    def _end(self, outcome: Outcome) -> None:
        if not self._is_over:
            self._is_over = True
            self._target.close()
            self.report = self._target.served.over()
            self._on_end(outcome)
