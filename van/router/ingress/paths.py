"""The paths on which a client's UDP session goes to the instance that it is pinned to.

One leads over a channel to another site, the other to a target of this one.
"""

import socket
from collections.abc import Iterable
from functools import partial
from typing import Final, Protocol

from van.router.bundles.subchannel import Carrier
from van.router.egress.served import Served
from van.router.flow.datagram_socket import DatagramTarget
from van.router.flow.datagrams import DatagramSender, datagram_frame
from van.router.flow.drops import DropCause, Drops
from van.router.flow.outcome import FINISHED, Ending, OnEnd, Outcome
from van.router.reactor.loop import EventLoop
from van.wire.channel import CODEC, Done, Kind, Open, Opened, Pending, Refused, Report
from van.wire.flow_protocol import SESSION_INGRESS, FlowProtocol
from van.wire.flow_states import State
from van.wire.framing import Message

TARGET_GONE: Final = "the target takes no more"


class ReplyReceiver(Protocol):
    """Whoever the session is carried for."""

    def flow_opened(self, report: Report) -> None:
        """Take note that the instance takes the session."""

    def receive_reply(self, data: memoryview) -> None:
        """Take a datagram from the instance; the view is valid during the call only."""


class SessionPath(Protocol):
    """What takes a client's datagrams to an instance."""

    report: Report | None
    """The last one that came."""

    def send_payload(self, count: int, *, may_wait: bool = False) -> None:
        """Send a datagram, which is the first so many bytes of the loop's payload.

        One that may wait may go out with those that follow, or with `release`.
        """

    def release(self) -> None:
        """Send what waits for more."""

    def end(self) -> None:
        """End the session in order; the outcome may come later."""

    def abort(self, detail: str) -> None:
        """Break the session off, unless it has ended."""


class ChannelPath:
    """The ingress's end of a session on a channel: opens it, and ends it."""

    __slots__ = ("_drops", "_flow", "_loop", "_on_end", "_receiver", "_sender", "channel", "report")

    def __init__(
        self,
        loop: EventLoop,
        channel: Carrier,
        receiver: ReplyReceiver,
        on_end: OnEnd,
        drops: Drops,
    ) -> None:
        """Use a channel until `on_end` is called, in which REFUSED means that no target took the
        session."""
        self.channel = channel
        self.report: Report | None = None
        self._drops = drops
        self._flow = FlowProtocol(SESSION_INGRESS)
        self._loop = loop
        self._receiver = receiver
        self._on_end = on_end
        self._sender = DatagramSender(loop, channel, drops)

    def start(self, request: Open, first: Iterable[bytes]) -> None:
        """Send OPEN with the datagrams that have come so far, in the same record."""
        self.channel.hand_to(self)
        self._flow.send(Kind.OPEN)
        if not self.channel.is_open:
            self.channel_lost("path lost: it was closed already")
            return
        self.channel.send(CODEC.encode(request) + b"".join(map(datagram_frame, first)))
        if not self._flow.is_over:
            self._loop.answers.begin(self, self._answer_overdue)

    def send_payload(self, count: int, *, may_wait: bool = False) -> None:
        """Send a datagram, which is the first so many bytes of the loop's payload."""
        if self._flow.may_send:
            self._sender.send_payload(count, may_wait=may_wait)
        else:
            self._drops[DropCause.NO_INSTANCE] += 1

    def release(self) -> None:
        """Send what waits for more, unless the session is over."""
        if self._flow.may_send:
            self._sender.release()

    def end(self) -> None:
        """Send EOF, and wait for a while for the egress to be through with the channel."""
        if self._flow.may_send:
            self._sender.close()
            self._flow.send(Kind.EOF)
            self.channel.send_bare(Kind.EOF)
            self._give_up_later()

    def abort(self, detail: str) -> None:
        """Break the session off, and the channel with it, unless it has ended."""
        if not self._flow.is_over:
            self.channel.abort(detail)
            self._flow.lose()
            self._finish(Outcome(Ending.RESET, detail))

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
            self._flow.receive(Kind.DATAGRAM)
        elif self._flow.may_send:  # else the client has gone
            self._receiver.receive_reply(data)

    def receive_data(self, data: memoryview) -> None:
        """Break the session off: UDP has no stream."""
        self._flow.receive(Kind.DATA)

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

    def channel_writable(self) -> None:
        """Send the newest of what was kept back."""
        self._sender.flush()

    def channel_lost(self, reason: str) -> None:
        """End the session; without an answer it may be offered elsewhere."""
        if self._flow.is_over:
            return
        ending = Ending.RESET if self._flow.is_answered else Ending.REFUSED
        self._flow.lose()
        self._finish(Outcome(ending, reason))

    def _finish(self, outcome: Outcome) -> None:
        self._loop.answers.end(self)
        self._sender.close()
        self._on_end(outcome)


class LocalPath:
    """Leads to a target of this site."""

    __slots__ = (
        "_is_asked", "_is_opened", "_is_over", "_loop", "_on_end", "_receiver", "_served",
        "_target", "report",
    )  # fmt: skip

    def __init__(
        self,
        loop: EventLoop,
        sock: socket.socket,
        receiver: ReplyReceiver,
        on_end: OnEnd,
        *,
        drops: Drops,
        served: Served,
    ) -> None:
        """Own the socket; `served` is told why the target does not take datagrams any more."""
        self.report: Report | None = served.last_report()
        self._loop = loop
        self._receiver = receiver
        self._on_end = on_end
        self._served = served
        self._is_asked = False
        self._is_opened = False
        self._is_over = False
        self._target = DatagramTarget(
            loop,
            sock,
            drops,
            on_datagram=self._heard,
            on_pause=self.release,
            on_failure=self._target_failed,
        )

    def start(self, first: Iterable[bytes]) -> None:
        """Send what has come so far; soon it is known whether the target is there."""
        for datagram in first:
            self._send(datagram)
            if self._is_over:
                return
        if why := self._target.error():
            self._target_failed(why)
        else:
            self._loop.call_later(self._loop.limits.answer_timeout, self._open)

    def _open(self) -> None:
        """Take the target for one that is there: it has answered, or nothing spoke against it."""
        if not self._is_opened and not self._is_over:
            self._is_opened = True
            self._receiver.flow_opened(self._served.last_report())

    def send_payload(self, count: int, *, may_wait: bool = False) -> None:
        """Send a datagram, which is the first so many bytes of the loop's payload."""
        self._send(self._loop.payload[:count])

    def release(self) -> None:
        """Do nothing: no datagram has waited."""

    def end(self) -> None:
        """End the session."""
        self._end(Outcome(Ending.FINISHED))

    def abort(self, detail: str) -> None:
        """End the session: there is no other way to break it off."""
        self._end(Outcome(Ending.RESET, detail))

    def _send(self, datagram: bytes | memoryview) -> None:
        if not self._is_asked:
            self._is_asked = True
            self._served.request_sent()
        self._target.send(datagram)

    def _heard(self, count: int, _may_wait: bool) -> None:  # noqa: FBT001  # a callback
        if self._is_asked:
            self._is_asked = False
            self._served.response_started()
        self._open()
        self._receiver.receive_reply(self._loop.payload[:count])

    def _target_failed(self, reason: str) -> None:
        self._served.refused(reason)
        self._end(Outcome(Ending.RESET if self._is_opened else Ending.REFUSED, reason))

    def _end(self, outcome: Outcome) -> None:
        if not self._is_over:
            self._is_over = True
            self._target.close()
            self.report = self._served.over()
            self._on_end(outcome)
