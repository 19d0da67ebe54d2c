"""Carries a client's UDP session: over a channel, to a target of this site, or to all."""

import logging
from functools import partial

from van.router.bundles.pools import BundlePools
from van.router.bundles.subchannel import Subchannel
from van.router.egress.race import TargetRefused
from van.router.egress.served import Served
from van.router.flow.outcome import Ending, OnEnd, Outcome
from van.router.ingress.context import IngressContext
from van.router.ingress.multicast import Sources
from van.router.ingress.paths import ChannelPath, LocalPath
from van.router.ingress.session import Session
from van.wire.channel import Open, Report

logger = logging.getLogger(__name__)


class DatagramTransport:
    """One client's session, on whichever path it is at present; the session has a client's socket,
    and keeps the datagrams that no instance has taken."""

    __slots__ = ("_attempt", "_context", "_session", "_sources", "report")

    def __init__(self, context: IngressContext, sources: Sources, session: Session) -> None:
        self.report: Report | None = None
        self._context = context
        self._sources = sources
        self._session = session
        self._attempt = session.attempt

    @property
    def pools(self) -> BundlePools:
        """Return where there are parts of bundles."""
        return self._context.bundles

    @property
    def is_live(self) -> bool:
        """Tell whether the session takes the client's datagrams."""
        return self._session.is_live

    def carry(self, channel: Subchannel, request: Open, on_end: OnEnd) -> None:
        """Begin to carry it on a channel."""
        session, drops = self._session, self._context.flows.dropped_datagrams
        ended = partial(self._ended, on_end)
        path = session.path = ChannelPath(self._context.loop, channel, session, ended, drops)
        self._expect_answer()
        try:
            path.start(request, session.early)
        except BaseException:
            session.path = None
            raise

    def carry_here(self, on_end: OnEnd) -> None:
        """Begin to carry it to a target of this site, or to the next one that takes it."""
        self._carry_here(on_end, "not served here")

    def _carry_here(self, on_end: OnEnd, why: str) -> None:
        """Begin to carry it to the best target; `why` is what is told if there is none."""
        context, session, service = self._context, self._session, self._attempt.service
        try:
            instance, sock = context.egress.targets.connect_datagrams(service, None)
        except TargetRefused as exc:
            on_end(Outcome(Ending.REFUSED, str(exc) or why, exc.reason))
            return
        flow = self._attempt.flow
        flow.role = "local"
        served = Served(context.egress.targets, instance, flow)
        path = session.path = LocalPath(
            context.loop,
            sock,
            session,
            partial(self._ended_here, on_end, served),
            drops=context.flows.dropped_datagrams,
            served=served,
        )
        self._expect_answer()
        path.start(session.early)

    def carry_to_all(self) -> None:
        """Send what the client sends to every instance."""
        self._sources.join(self._session)

    def take_back(self) -> None:
        """Let the session keep what it has not given away."""
        self._attempt.flow.role = "ingress"

    def has_failed(self, outcome: Outcome) -> bool:
        """Tell whether the instance was lost: nobody else ends a session but in order."""
        return self._session.is_live and outcome.ending is not Ending.FINISHED

    def refuse(self, reason: str) -> None:
        """End the session, because no instance took it."""
        logger.debug("session %s refused: %s", self._attempt.flow.id, reason)
        self._session.refuse(reason)

    def abort(self, reason: str) -> None:
        """Break the session off."""
        self._session.abort(reason)

    def close(self) -> None:
        """Leave nothing of the session behind."""
        self._session.over()

    def _expect_answer(self) -> None:
        """Have the first answer waited for, but no longer than the egress does: some programs only
        send."""
        self._attempt.request_sent()
        loop = self._context.loop
        loop.call_later(loop.limits.answer_timeout, self._attempt.request_abandoned)

    def _ended_here(self, on_end: OnEnd, served: Served, outcome: Outcome) -> None:
        served.leave()
        if outcome.ending is Ending.REFUSED and self._session.is_live:
            self._session.path = None
            self._carry_here(on_end, outcome.detail)
        else:
            self._ended(on_end, outcome)

    def _ended(self, on_end: OnEnd, outcome: Outcome) -> None:
        path, self._session.path = self._session.path, None
        self.report = None if path is None else path.report
        on_end(outcome)
