"""Carries a client's TCP connection: over a channel, to a target of this site, or to all."""

import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from van.balancing.balancer import Balancer
from van.router.bundles.subchannel import Subchannel
from van.router.egress.introduction import introduce, introduction
from van.router.egress.race import TargetRefused
from van.router.egress.served import Served
from van.router.flow.flow import Flow
from van.router.flow.observer import ExchangeObserver
from van.router.flow.outcome import Ending, OnEnd, Outcome
from van.router.ingress.attempt import FlowAttempt
from van.router.ingress.context import IngressContext
from van.router.ingress.multicast_stream import StreamSource
from van.router.ingress.stream import IngressStream
from van.router.reactor import sockets
from van.router.reactor.relay import Relay
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import Open

logger = logging.getLogger(__name__)

RESET_BY: Final = {
    0: "the client broke it off",
    1: "the target broke it off",
    None: "this router broke it off",
}
"""Why a flow within this site was reset, by the side of its relay that was."""


class StreamTransport(FlowAttempt):
    """One client's connection, with what it has said until an instance takes it.

    Owns the client's socket while nothing carries the flow: it is closed with a reset where nobody
    took it, and by whatever carries it otherwise.
    """

    __slots__ = (
        "_client", "_context", "_first", "_has_ended", "_on_over", "_source", "_stream",
        "_takes_answer", "_was_turned_away",
    )  # fmt: skip

    def __init__(
        self,
        context: IngressContext,
        source: StreamSource,
        balancer: Balancer,
        service: ServiceKey,
        flow: Flow,
        *,
        client: socket.socket,
        takes_answer: bool,
        on_over: Callable[[str], None],
    ) -> None:
        """`takes_answer` is for a multicast address; `on_over` takes why nobody took the flow, or
        nothing, when it is over."""
        super().__init__(context.loop, balancer, service, flow)
        self._context = context
        self._source = source
        self._client = client
        self._takes_answer = takes_answer
        self._on_over = on_over
        self._stream: IngressStream | None = None
        self._first = b""
        """What the client has sent, and no instance has taken."""
        self._has_ended = False
        """Whether that was all."""
        self._was_turned_away = False
        """Whether a target of this site ended the flow, while the client waited for an answer."""

    def carry(self, channel: Subchannel, request: Open, on_end: OnEnd) -> None:
        """Begin to carry it on a channel."""
        stream = IngressStream(
            self._context.loop,
            self._client,
            channel,
            on_end,
            self,
            bundles=self._context.bundles,
        )
        self._stream = stream
        self.flow.carried_by(stream)
        stream.start(request, first=self._first, is_ended=self._has_ended)

    def carry_here(self, on_end: OnEnd) -> None:
        """Begin to connect to a target of this site, and to carry it there, in a task."""
        self._context.tasks.start(self._run_here, on_end)
        self._context.loop.yield_to_tasks()

    def carry_to_all(self) -> None:
        """Copy what the client says to every instance."""
        self._source.begin(
            self.flow,
            self._client,
            takes_answer=self._takes_answer,
            on_end=self._on_over,
        )

    def take_back(self) -> None:
        """Keep what the client has sent so far."""
        if self._stream is not None:
            self._first, self._has_ended = self._stream.take_replay()
            self._stream = None
        self.flow.carried_by(None)
        self.flow.role = "ingress"

    def judge(self, outcome: Outcome) -> bool:
        """Take the last report, and tell whether the target ended the flow without a word.

        One that does is soon done with each, and would draw all of them.
        """
        stream = self._stream
        if stream is None:
            return self._was_turned_away
        self.report = stream.report
        return stream.was_turned_away

    def refuse(self, reason: str) -> None:
        """Reset the client, because no instance took its flow."""
        logger.info("flow to %s refused: %s", self.flow.address, reason)
        self.abort(reason)

    def abort(self, reason: str) -> None:
        """Reset the client."""
        self._stream = None
        sockets.close_with_reset(self._client)
        self._on_over(reason)

    def close(self) -> None:
        """Tell that the flow is over; its stream has closed the client."""
        self._stream = None  # or only a search for cycles would free both
        self._on_over("")

    # -- within this site ----------------------------------------------------------------------

    async def _run_here(self, on_end: OnEnd) -> None:
        defects, end = self._context.loop.defects, partial(self._break_off, on_end)
        try:
            with defects.contain("flow %s", self.flow.id, end=end):
                on_end(await self._relay_here())
        except BaseException:
            self._break_off(on_end, "broken off")
            raise

    def _break_off(self, on_end: OnEnd, detail: str) -> None:
        sockets.close_with_reset(self._client)
        on_end(Outcome(Ending.RESET, detail))

    async def _relay_here(self) -> Outcome:
        """Carry it to a target until it is over; return how that was."""
        flow, targets = self.flow, self._context.egress.targets
        scope = trio.CancelScope()
        watch = self._context.loop.watch(self._client.fileno(), 0, lambda _: scope.cancel())
        try:
            with scope:
                instance, target = await targets.connect(
                    self.service, None, is_patient=self.is_patient
                )
        except TargetRefused as exc:
            return Outcome(Ending.REFUSED, str(exc) or "not served here", exc.reason)
        finally:
            watch.close()
        if scope.cancelled_caught:
            self._client.close()
            return Outcome(Ending.RESET, "the client left while its target was waited for")
        flow.role = "local"
        here = self._context.routes.fib.site
        introduce(target, introduction(instance.connector.config, flow, here))
        served = Served(targets, instance, flow)
        self.flow_opened(served.report)
        try:
            relay, observer = self._begin_relay(target, served)
            await relay.ended()
        finally:
            served.leave()
        self.report = served.report
        self._was_turned_away = relay.first_end == 1 and observer.is_waiting
        if relay.was_reset:
            return Outcome(Ending.RESET, RESET_BY[relay.reset_by])
        return Outcome(Ending.FINISHED)

    def _begin_relay(self, target: socket.socket, served: Served) -> tuple[Relay, "_LocalObserver"]:
        observer = _LocalObserver(self, served)
        context = self._context
        relay = Relay(
            context.loop,
            self._client,
            target,
            context.make_direction,
            observer,
            ahead=self._first,
        )
        self.flow.carried_by(relay)
        return relay, observer


class _LocalObserver(ExchangeObserver):
    """What is to be known of a flow within the site, whose bytes nobody looks at."""

    def __init__(self, attempt: FlowAttempt, served: Served) -> None:
        self.is_waiting = False
        """Whether the client has asked, and had no answer yet."""
        self._attempt = attempt
        self._served = served

    def request_sent(self) -> None:
        """Tell everyone who learns from it."""
        if not self.is_waiting:
            self.is_waiting = True
            self._served.request_sent()
            self._attempt.request_sent()

    def response_started(self) -> None:
        """Tell everyone who learns from it."""
        if self.is_waiting:
            self.is_waiting = False
            self._served.response_started()
            self._attempt.response_started()
