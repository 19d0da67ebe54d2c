"""The egress's end of a UDP session: the target's."""

import socket
from collections.abc import Callable, Iterable

from van.router.bundles.subchannel import Carrier
from van.router.egress.race import TargetRefused
from van.router.egress.served import Served
from van.router.flow.datagram_socket import DatagramTarget
from van.router.flow.datagrams import DatagramQueue, DatagramSender
from van.router.flow.drops import Drops
from van.router.flow.outcome import FINISHED, Ending, OnEnd, Outcome
from van.router.reactor.loop import EventLoop
from van.wire.channel import Done, Kind, Opened, Reason, Refused
from van.wire.flow_protocol import SESSION_EGRESS, FlowProtocol
from van.wire.framing import Message

SessionTarget = tuple[Served, socket.socket]
"""A session at an instance, and the socket that is connected to it."""


class EgressSession:
    """Carries a session that an ingress has opened, between its channel and a target's socket."""

    __slots__ = (
        "_asked_at", "_channel", "_drops", "_early", "_flow", "_is_asked", "_is_watched", "_loop",
        "_next_target", "_on_end", "_sender", "_served", "_target", "bytes_from_target",
        "bytes_to_target",
    )  # fmt: skip

    def __init__(
        self,
        loop: EventLoop,
        target: SessionTarget,
        channel: Carrier,
        on_end: OnEnd,
        *,
        next_target: Callable[[], SessionTarget],
        drops: Drops,
    ) -> None:
        """Own the target's socket, and those of others, which `next_target` returns while it is not
        known whether the target takes datagrams, or raises `TargetRefused`."""
        self.bytes_to_target = 0
        self.bytes_from_target = 0
        self._loop = loop
        self._channel = channel
        self._on_end = on_end
        self._next_target = next_target
        self._drops = drops
        self._early = DatagramQueue()
        """What the target was sent while it is not known whether it is there."""
        self._is_asked = False
        self._asked_at = 0.0
        self._is_watched = False
        self._flow = FlowProtocol(SESSION_EGRESS)
        self._flow.receive(Kind.OPEN)
        self._sender = DatagramSender(loop, channel, drops)
        self._use(target)

    def _use(self, target: SessionTarget) -> None:
        self._served, sock = target
        self._target = DatagramTarget(
            self._loop,
            sock,
            self._drops,
            on_datagram=self._heard,
            on_pause=self._sender.release,
            on_failure=self._target_failed,
        )

    def start(self) -> None:
        """Begin to carry. That is answered once it is known whether the target is there: with its
        first reply, or after a while in which nothing spoke against it."""
        self._channel.hand_to(self)
        self._loop.at_pause(self._answer_unasked)

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the target took, and how many it sent."""
        return self.bytes_to_target, self.bytes_from_target

    def abort(self, detail: str = "broken off") -> None:
        """Break the session off, and the channel with it, unless it has ended."""
        if not self._flow.is_over:
            self._channel.abort(detail)
            self._flow.lose()
            self._finish(Outcome(Ending.RESET, detail))

    # -- from the channel ------------------------------------------------------------------

    def receive_datagram(self, data: memoryview) -> None:
        """Pass a datagram on to the target."""
        if not self._flow.takes_payload:
            self._flow.receive(Kind.DATAGRAM)
            return
        if not self._is_asked:
            self._is_asked = True
            self._served.request_sent()
            self._asked_at = self._loop.clock()
            self._watch_for_loss()
        self.bytes_to_target += len(data)
        if self._flow.is_answered:
            self._target.send(data)
        else:
            self._early.add(bytes(data))
            self._try(self._target, (data,))

    def _watch_for_loss(self) -> None:
        """Begin to look whether what was asked is answered in time."""
        if not self._is_watched:
            self._is_watched = True
            self._loop.call_later(self._loop.limits.answer_timeout, self._look_for_loss)

    def _look_for_loss(self) -> None:
        """Wait no more for what is most probably lost, so that the target does not look slow."""
        self._is_watched = False
        if self._is_asked and not self._flow.is_over:
            if self._loop.clock() - self._asked_at < self._loop.limits.answer_timeout:
                self._watch_for_loss()
            else:
                self._served.request_abandoned()
                self._answer()

    def receive_data(self, data: memoryview) -> None:
        """Break the session off: UDP has no stream."""
        self._flow.receive(Kind.DATA)

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take the ingress's end of the session, which ends all of it: a session has no halves.

        Raises `RemoteProtocolError` if it is another frame, which is out of place.
        """
        self._flow.receive(kind)
        self._answer()
        if self._flow.is_reset:
            self._end(Outcome(Ending.RESET, "the ingress broke it off", is_channel_clean=True))
        elif not self._flow.is_over:
            self._flow.send(Kind.EOF)
            self._end(FINISHED, behind=Kind.EOF)

    def channel_writable(self) -> None:
        """Send the newest of what was kept back."""
        self._sender.flush()

    def channel_lost(self, reason: str) -> None:
        """End the session, unless it is over, and only the news of that did not get through."""
        if not self._flow.is_over:
            self._flow.lose()
            self._finish(Outcome(Ending.RESET, reason))

    def _answer_unasked(self) -> None:
        """Open a session for an ingress that sends nothing which could be refused."""
        if not self._is_asked:
            self._answer()

    def _answer(self) -> None:
        """Say that the target takes the session, unless something was said, or it is over."""
        if not self._flow.is_answered and not self._flow.is_over:
            self._early.clear()
            self._served.taken()
            self._flow.send(Kind.OPENED)
            self._channel.send_message(Opened(self._served.last_report()))

    # -- from the target -------------------------------------------------------------------

    def _heard(self, count: int, may_wait: bool) -> None:  # noqa: FBT001  # a callback
        if self._is_asked:
            self._is_asked = False
            self._served.response_started()
        self.bytes_from_target += count
        self._answer()
        if self._flow.may_send:
            self._sender.send_payload(count, may_wait=may_wait)

    def _try(self, target: DatagramTarget, datagrams: Iterable[bytes | memoryview]) -> None:
        """Send to a target of which it is not known whether it is there."""
        for datagram in datagrams:
            target.send(datagram)
            if self._target is not target:  # it is not, and another one has got them all
                return
        if why := target.error():
            self._target_failed(why)

    def _target_failed(self, reason: str) -> None:
        if self._flow.is_over:
            return
        self._target.close()
        self._served.refused(reason)
        if self._flow.is_answered:
            self._flow.send(Kind.RESET)
            self._end(Outcome(Ending.RESET, reason, is_channel_clean=True), behind=Kind.RESET)
            return
        self._served.leave()
        try:
            self._use(self._next_target())
        except TargetRefused:
            self._refuse(reason)
            return
        if self._is_asked:
            self._served.request_sent()
        self._try(self._target, tuple(self._early))

    def _refuse(self, reason: str) -> None:
        self._flow.send(Kind.REFUSED)
        self._channel.answer(Refused(Reason.TARGET_REFUSED, reason[:500]))
        self._finish(Outcome(Ending.REFUSED, reason, is_channel_clean=True))

    # -- endings ---------------------------------------------------------------------------

    def _end(self, outcome: Outcome, *, behind: Kind | None = None) -> None:
        """Make the channel idle: the next frame on it belongs to another flow."""
        self._flow.send(Kind.DONE)
        done = Done(self.bytes_to_target, self._served.over())
        self._channel.answer(done, behind=behind)
        self._finish(outcome)

    def _finish(self, outcome: Outcome) -> None:
        self._sender.close()
        self._target.close()
        self._served.leave()
        self._on_end(outcome)
