"""A UDP session at the ingress: one client of one listener, pinned to an instance.

A session begins with a client's first datagram. Until an instance has taken it, its first datagrams
are kept and offered to one instance after the other: over a channel, at this site, or to all of a
multicast address. When it loses its instance it is over: the client's next datagram begins another
one, somewhere else.
"""

import logging
from functools import partial
from typing import TYPE_CHECKING

from van.balancing.balancer import Balancer
from van.router.bundles.subchannel import Subchannel
from van.router.egress.race import TargetRefused
from van.router.egress.served import Served
from van.router.flow.datagrams import DatagramQueue
from van.router.flow.drops import DropCause
from van.router.flow.flow import Flow
from van.router.flow.outcome import Ending, OnEnd, Outcome
from van.router.ingress.ageing import ANSWERED, ASKING, CONVERSING
from van.router.ingress.attempt import FlowAttempt
from van.router.ingress.client_socket import Client
from van.router.ingress.paths import ChannelPath, LocalPath, SessionPath
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import Open, Report

if TYPE_CHECKING:
    from van.router.ingress.datagram_listener import DatagramPort

logger = logging.getLogger(__name__)


class Session(FlowAttempt):
    """One client's, from its first datagram to its end; on whichever path it is at present.

    The dispatcher does the rest: `carry` and what follows are for it.
    """

    __slots__ = (
        "_due", "_is_answered", "_is_over", "_is_to_all", "_port", "_refusal",
        "bytes_from_client", "bytes_to_client", "client", "early", "idle", "is_opened",
        "last_active", "path", "stage",
    )  # fmt: skip

    def __init__(
        self,
        port: "DatagramPort",
        balancer: Balancer,
        service: ServiceKey,
        flow: Flow,
        *,
        client: Client,
        idle: float,
    ) -> None:
        """`idle` is for how many seconds a multicast group keeps it without traffic. The port is
        told once of its end, when nothing of the session is left."""
        super().__init__(port.context.loop, balancer, service, flow)
        self.client = client
        self.idle = idle
        self.early = DatagramQueue()
        """The datagrams that no instance has taken."""
        self.path: SessionPath | None = None
        self.is_opened = False
        """Whether an instance has taken it."""
        self.last_active = port.ages.now
        self.stage = ASKING
        """What it has been so far, as the ages of the port have it."""
        self.bytes_from_client = 0
        self.bytes_to_client = 0
        self._port = port
        self._due = 0
        """Questions less answers."""
        self._is_answered = False
        self._is_over = False
        self._is_to_all = False
        self._refusal = ""

    def send(self, datagram: memoryview) -> None:
        """Send a client's datagram on."""
        path, ages = self.path, self._port.ages
        self._due += 1
        if self.last_active != ages.now or self.stage == ANSWERED:
            ages.was_active(self, ASKING if self.stage == ASKING else CONVERSING, ages.now)
        self.bytes_from_client += len(datagram)
        if self.is_opened and path is not None:
            path.send(datagram)
            return
        made_way = self.early.add(bytes(datagram))
        if path is not None:
            path.send(datagram)
        else:
            self._port.drops[DropCause.NOT_PLACED] += made_way

    def end(self, cause: DropCause = DropCause.NOT_PLACED) -> None:
        """Take nothing more, and give the channel back when the egress is through with it.

        What no instance has taken is dropped for that cause.
        """
        if self.is_live:
            self._leave()
            if self.path is not None:
                self.path.end()
            else:
                self._port.drops[cause] += self.early.clear()
                self.close()

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the client sent, and how many were sent to it."""
        return self.bytes_from_client, self.bytes_to_client

    def joined(self, path: SessionPath) -> DatagramQueue:
        """Send to all instances from now on; return what has yet to be sent."""
        self.path = path
        self.is_opened = self.flow.is_opened = True
        self._is_to_all = True
        early, self.early = self.early, DatagramQueue()
        return early

    # -- for the dispatcher -----------------------------------------------------------------

    def carry(self, channel: Subchannel, request: Open, on_end: OnEnd) -> None:
        """Begin to carry it on a channel."""
        port = self._port
        ended = partial(self._ended, on_end)
        path = self.path = ChannelPath(port.context.loop, channel, self, ended, port.drops)
        path.take_bursts(self._receive_burst)
        self._expect_answer()
        try:
            path.start(request, self.early)
        except BaseException:
            self.path = None
            raise

    def carry_here(self, on_end: OnEnd) -> None:
        """Begin to carry it to a target of this site, or to the next one that takes it."""
        self._carry_here(on_end, "not served here")

    def _carry_here(self, on_end: OnEnd, why: str) -> None:
        """Begin to carry it to the best target; `why` is what is told if there is none."""
        port, flow, targets = self._port, self.flow, self._port.context.egress.targets
        try:
            instance, sock = targets.connect_datagrams(self.service, None)
        except TargetRefused as exc:
            on_end(Outcome(Ending.REFUSED, str(exc) or why, exc.reason))
            return
        flow.role = "local"
        served = Served(targets, instance, flow)
        ended = partial(self._ended_here, on_end, served)
        path = self.path = LocalPath(port.context.loop, (served, sock), self, ended, port.drops)
        self._expect_answer()
        path.start(self.early)

    def carry_to_all(self) -> None:
        """Send what the client sends to every instance."""
        self._port.sources.join(self)

    def take_back(self) -> None:
        """Keep what has not been given away."""
        self.flow.role = "ingress"

    def judge(self, outcome: Outcome) -> bool:
        """Tell whether the instance was lost: nobody else ends a session but in order."""
        return self.is_live and outcome.ending is not Ending.FINISHED

    def refuse(self, reason: str) -> None:
        """End it, because no instance has taken it."""
        logger.debug("session %s refused: %s", self.flow.id, reason)
        self._refusal = reason
        self.end(DropCause.NO_INSTANCE)

    def abort(self, detail: str) -> None:
        """Break it off."""
        if self.path is not None:
            self._leave()
            self.path.abort(detail)
        else:
            self.end()

    def close(self) -> None:
        """Leave nothing behind."""
        self._leave()
        if not self._is_over:
            self._is_over = True
            self._port.ended(self, self._refusal)

    def _leave(self) -> None:
        """Be live no more."""
        if self.is_live:
            self.is_live = False
            self._port.ages.remove(self)

    def _expect_answer(self) -> None:
        """Have the first answer waited for, but no longer than the egress does: some programs only
        send."""
        self.request_sent()
        loop = self._port.context.loop
        loop.call_later(loop.limits.answer_timeout, self.request_abandoned)

    # -- from the path ----------------------------------------------------------------------

    def flow_opened(self, report: Report | None) -> None:
        """Take note that an instance has taken the session."""
        self.is_opened = True
        self.early.clear()
        super().flow_opened(report)

    def receive_reply(self, data: memoryview) -> None:
        """Send a datagram from the instance to the client."""
        self._heard(1, len(data))
        sock = self._port.sock
        try:
            sock.reply(data, self.client)
        except OSError as exc:
            sock.not_taken(exc)

    def _receive_burst(self, datagrams: list[memoryview]) -> None:
        self._heard(len(datagrams), len(datagrams) * len(datagrams[0]))
        self._port.sock.reply_burst(datagrams, self.client)

    def _heard(self, count: int, size: int) -> None:
        """Take note of so many datagrams, and bytes, from the instance."""
        if not self._is_answered:
            self._is_answered = True
            self.response_started()
        ages, stage = self._port.ages, self.stage
        self._due -= count
        if self._due <= 0 and not self._is_to_all:  # of many there may be more answers
            stage = ANSWERED if stage == ASKING and not self._due else CONVERSING
        if (stage != self.stage or self.last_active != ages.now) and self.is_live:
            ages.was_active(self, stage, ages.now)
        self.bytes_to_client += size

    def _ended_here(self, on_end: OnEnd, served: Served, outcome: Outcome) -> None:
        served.leave()
        if outcome.ending is Ending.REFUSED and self.is_live:
            self.path = None
            self._carry_here(on_end, outcome.detail)
        else:
            self._ended(on_end, outcome)

    def _ended(self, on_end: OnEnd, outcome: Outcome) -> None:
        path, self.path = self.path, None
        self.report = None if path is None else path.report
        on_end(outcome)
