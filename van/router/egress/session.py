"""The egress's end of a UDP session: the target's."""

import socket
from collections.abc import Callable, Iterable
from typing import Final

from van.router.bundles.subchannel import Subchannel
from van.router.egress.race import TargetRefused
from van.router.egress.served import Served
from van.router.flow.datagram_socket import DatagramTarget, unheard
from van.router.flow.datagrams import DatagramQueue, SessionEnd
from van.router.flow.drops import Drops
from van.router.flow.outcome import FINISHED, Ending, OnEnd, Outcome
from van.router.reactor.loop import EventLoop
from van.wire.channel import Done, Kind, Opened, Reason, Refused
from van.wire.flow_protocol import SESSION_EGRESS
from van.wire.framing import Message

ServedSocket = tuple[Served, socket.socket]
"""A session at an instance, and the socket that is connected to it."""
_DATAGRAM: Final = int(Kind.DATAGRAM)


class SessionTarget(DatagramTarget):
    """The instance that has a session: tells how that goes, and waits for no answer for ever."""

    __slots__ = ("_asked_at", "_is_watched", "_on_quiet", "served")

    def __init__(
        self,
        loop: EventLoop,
        served_socket: ServedSocket,
        drops: Drops,
        *,
        on_datagram: Callable[[memoryview], None],
        on_quiet: Callable[[], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """As its base; `on_quiet` is called when it was asked, and has not answered in time."""
        self.served, sock = served_socket
        super().__init__(loop, sock, drops, on_datagram=on_datagram, on_failure=on_failure)
        self._on_quiet = on_quiet
        self._asked_at = 0.0
        self._is_watched = False

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        super().close()
        self._on_quiet = unheard

    def _asked(self) -> None:
        self._is_asked = True
        self.served.request_sent()
        self._asked_at = self._loop.clock()
        if not self._is_watched:
            self._watch_for_loss()

    def _answered(self) -> None:
        self._is_asked = False
        self.served.response_started()

    def _watch_for_loss(self) -> None:
        """Begin to look whether what was asked is answered in time."""
        self._is_watched = True
        self._loop.call_later(self._loop.limits.answer_timeout, self._look_for_loss)

    def _look_for_loss(self) -> None:
        """Wait no more for what is most probably lost, so that the target does not look slow."""
        self._is_watched = False
        if self._is_asked and self._is_open:
            if self._loop.clock() - self._asked_at < self._loop.limits.answer_timeout:
                self._watch_for_loss()
            else:
                self.served.request_abandoned()
                self._on_quiet()


class EgressSession(SessionEnd):
    """Carries a session that an ingress has opened, between its channel and a target's socket."""

    __slots__ = ("_early", "_next_target", "_target", "bytes_from_target", "bytes_to_target")

    def __init__(
        self,
        loop: EventLoop,
        target: ServedSocket,
        channel: Subchannel,
        on_end: OnEnd,
        *,
        next_target: Callable[[], ServedSocket],
        drops: Drops,
    ) -> None:
        """Own the target's socket, and those of others, which `next_target` returns while it is not
        known whether the target takes datagrams, or raises `TargetRefused`."""
        super().__init__(loop, channel, SESSION_EGRESS, on_end, drops)
        self.bytes_to_target = 0
        self.bytes_from_target = 0
        self._next_target = next_target
        self._early = DatagramQueue()
        """What the target was sent while it is not known whether it is there."""
        self._flow.receive(Kind.OPEN)
        self._target = self._use(target)

    def _use(self, target: ServedSocket) -> SessionTarget:
        return SessionTarget(
            self._loop,
            target,
            self._drops,
            on_datagram=self._heard,
            on_quiet=self._answer,
            on_failure=self._target_failed,
        )

    def start(self) -> None:
        """Begin to carry. That is answered once it is known whether the target is there: with its
        first reply, or after a while in which nothing spoke against it."""
        self.channel.hand_to(self)
        self.take_bursts(self._pass_burst)
        self._loop.at_pause(self._answer_unasked)

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the target took, and how many it sent."""
        return self.bytes_to_target, self.bytes_from_target

    # -- from the channel ------------------------------------------------------------------

    def receive_datagram(self, data: memoryview) -> None:
        """Pass a datagram on to the target."""
        if not self._flow.takes_payload:
            self._flow.receive(_DATAGRAM)
            return
        self.bytes_to_target += len(data)
        if self._flow.is_answered:
            self._target.send(data)
        else:
            self._early.add(bytes(data))
            self._try(self._target, (data,))

    def _pass_burst(self, datagrams: list[memoryview]) -> None:
        self.bytes_to_target += len(datagrams) * len(datagrams[0])
        self._target.send_burst(datagrams)

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

    def _answer_unasked(self) -> None:
        """Open a session for an ingress that sends nothing which could be refused."""
        if not self._early:
            self._answer()

    def _answer(self) -> None:
        """Say that the target takes the session, unless something was said, or it is over."""
        if not self._flow.is_answered and not self._flow.is_over:
            self._early.clear()
            served = self._target.served
            served.taken()
            self._flow.send(Kind.OPENED)
            self.channel.send_message(Opened(served.report))

    # -- from the target -------------------------------------------------------------------

    def _heard(self, data: memoryview) -> None:
        self.bytes_from_target += len(data)
        if not self._flow.is_answered:
            self._answer()
        if self._flow.may_send and not self.channel.send_datagram(data):
            self._keep(data)

    def _try(self, target: SessionTarget, datagrams: Iterable[bytes | memoryview]) -> None:
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
        served = self._target.served
        self._target.close()
        served.refused(reason)
        if self._flow.is_answered:
            self._flow.send(Kind.RESET)
            self._end(Outcome(Ending.RESET, reason, is_channel_clean=True), behind=Kind.RESET)
            return
        served.leave()
        try:
            self._target = self._use(self._next_target())
        except TargetRefused:
            self._flow.send(Kind.REFUSED)
            self.channel.answer(Refused(Reason.TARGET_REFUSED, reason[:500]))
            self._finish(Outcome(Ending.REFUSED, reason, is_channel_clean=True))
        else:
            self._try(self._target, tuple(self._early))

    # -- endings ---------------------------------------------------------------------------

    def _end(self, outcome: Outcome, *, behind: Kind | None = None) -> None:
        """Make the channel idle: the next frame on it belongs to another flow."""
        self._flow.send(Kind.DONE)
        done = Done(self.bytes_to_target, self._target.served.over())
        self.channel.answer(done, behind=behind)
        self._finish(outcome)

    def _finish(self, outcome: Outcome) -> None:
        self._target.close()
        self._target.served.leave()
        super()._finish(outcome)
