"""Finds an instance for each UDP session, with what the dispatcher of other flows knows."""

import logging
from functools import partial
from typing import Final

import trio

from van.errors import LinkLost, RemoteError
from van.router.channels.channel import Channel
from van.router.channels.pools import Pools
from van.router.egress.connector import Served
from van.router.egress.egress import Egress, TargetRefused
from van.router.flow.drops import DropCause, Drops
from van.router.flow.outcome import Ending, Outcome
from van.router.flow.table import Flows
from van.router.ingress.attempt import FlowAttempt, FlowRefused, load_of
from van.router.ingress.dispatcher import DEFECT, Dispatcher
from van.router.ingress.multicast import Sources
from van.router.ingress.paths import ChannelPath, LocalPath
from van.router.ingress.session import Session
from van.router.links.routes import Routes
from van.router.reactor.loop import EventLoop
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import Open
from van.wire.lsa import Distribution

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 8
"""Sessions of one address that wait for a channel at one time: others stand behind these, and not
in the way of the flows to other addresses at the same site."""


class Placer:
    """Offers sessions to instances, and learns what becomes of them there."""

    def __init__(
        self,
        *,
        loop: EventLoop,
        flows: Flows,
        routes: Routes,
        pools: Pools,
        egress: Egress,
        dispatcher: Dispatcher,
        sources: Sources,
    ) -> None:
        self._loop = loop
        self._flows = flows
        self._routes = routes
        self._pools = pools
        self._egress = egress
        self._dispatcher = dispatcher
        self._sources = sources
        self.balancer = dispatcher.balancer
        self.sessions = 0
        """Sessions of all ports that are not over yet."""
        self._turns: dict[ServiceKey, trio.Semaphore] = {}

    @property
    def drops(self) -> Drops:
        """Return what counts the datagrams that were dropped."""
        return self._flows.dropped_datagrams

    def place(self, session: Session) -> None:
        """Find an instance for a session that has none, or all of them.

        Most sessions need no task: a channel is ready.
        """
        try:
            service = session.attempt.service
            if self._routes.fib.distribution(service) is Distribution.MULTICAST:
                self._sources.join(session)
            elif not self._place_at_once(session):
                session.is_placing = True
                self._dispatcher.tasks.start(self._place, session)
                self._loop.yield_to_tasks()
        except Exception:
            logger.exception("session %s failed", session.attempt.flow.id)
            session.abort(DEFECT)

    def _place_at_once(self, session: Session) -> bool:
        """Place a session if that takes no waiting; tell whether it is placed."""
        while (site := self._dispatcher.choose(session.attempt)) is not None:
            if site != self._routes.fib.site:
                channel = self._pools.pool(site).take()
                if channel is None:
                    return False
                self._dispatcher.take_on(session.attempt, site)
                self._start(session, site, channel)
                return True
            if self._try_here(session):
                return True
        return False

    async def _place(self, session: Session) -> None:
        """Find an instance, and wait for what it takes."""
        attempt = session.attempt
        try:
            async with self._turn(attempt.service):
                while session.is_live:
                    site = self._dispatcher.choose(session.attempt)
                    if site is None and not await attempt.may_try_again():
                        break
                    if site is not None and await self._try(session, site):
                        return
        except Exception:
            # A defect that one session meets must not end the others.
            logger.exception("session %s failed", attempt.flow.id)
            session.abort(DEFECT)
        except BaseException:
            session.abort("broken off")
            raise
        else:
            self._fail(session)

    def _turn(self, service: ServiceKey) -> trio.Semaphore:
        turn = self._turns.get(service)
        if turn is None:
            turn = self._turns[service] = trio.Semaphore(MAX_WAITING)
        return turn

    def _fail(self, session: Session) -> None:
        """End a session that no instance has taken."""
        if session.is_live:
            self._flows.refused += 1
            attempt = session.attempt
            attempt.on_end(attempt.reason())
            logger.debug("session %s refused: %s", attempt.flow.id, attempt.reason())
            session.end(DropCause.NO_INSTANCE)

    async def _try(self, session: Session, site: str) -> bool:
        """Wait for a site that can be reached; tell whether it has the session now, or nobody needs
        to."""
        if site == self._routes.fib.site:
            return self._try_here(session)
        self._dispatcher.take_on(session.attempt, site)
        pool = self._pools.pool(site)
        try:
            channel = await pool.acquire()
        except RemoteError as exc:
            self._dispatcher.failed(session.attempt)
            session.attempt.record_refusal(site, exc)
            return False
        except BaseException:
            self._dispatcher.give_back(session.attempt)
            raise
        if session.is_live:
            session.is_placing = False
            self._start(session, site, channel)
        else:  # it has ended meanwhile
            pool.release(channel)
            self._dispatcher.give_back(session.attempt)
        return True

    def _start(self, session: Session, site: str, channel: Channel) -> None:
        """Carry a session on a channel, which goes back to its pool in the end."""
        attempt = session.attempt
        try:
            on_end = partial(self._ended_there, session, site, channel)
            path = ChannelPath(self._loop, channel, session, on_end, self.drops)
            session.path = path
            self._ask(attempt)
            path.start(Open(attempt.flow.id, *attempt.service), session.early)
        except BaseException:
            self._pools.pool(site).release(channel, is_clean=False)
            self._dispatcher.give_back(session.attempt)
            session.path = None
            raise

    def _ask(self, attempt: FlowAttempt) -> None:
        """Have the first answer waited for, but no longer than the egress does: some programs only
        send."""
        attempt.request_sent()
        self._loop.call_later(self._loop.limits.answer_timeout, attempt.request_abandoned)

    def _ended_there(self, session: Session, site: str, channel: Channel, outcome: Outcome) -> None:
        pool = self._pools.pool(site)
        if pool.is_waited_for:
            self._loop.yield_to_tasks()
        pool.release(channel, is_clean=outcome.is_channel_clean)
        self._ended(session, site, outcome)

    def _try_here(self, session: Session) -> bool:
        """Place a session at a target of this site; tell whether it is placed."""
        attempt, site = session.attempt, self._routes.fib.site
        self._dispatcher.take_on(session.attempt, site)
        try:
            instance, sock = self._egress.connect_datagrams(attempt.service)
        except TargetRefused as exc:
            self._dispatcher.failed(session.attempt)
            attempt.record_refusal(site, FlowRefused(str(exc) or "not served here"))
            return False
        flow = attempt.flow
        flow.role = "local"
        served = Served(instance, flow, partial(self._egress.report, attempt.service))
        session.path = path = LocalPath(
            self._loop,
            sock,
            session,
            partial(self._ended_here, session, served),
            drops=self.drops,
            served=served,
            on_refusal=partial(self._egress.refused, instance),
        )
        session.is_placing = False
        self._ask(attempt)
        path.start(session.early)
        return True

    def _ended_here(self, session: Session, served: Served, outcome: Outcome) -> None:
        self._egress.left(served)
        self._ended(session, self._routes.fib.site, outcome)

    def _ended(self, session: Session, site: str, outcome: Outcome) -> None:
        """See what became of a session, and place it elsewhere if nobody has taken it."""
        path, session.path = session.path, None
        attempt = session.attempt
        if not session.is_live or outcome.ending is Ending.FINISHED:
            report = None if path is None else path.report
            self._dispatcher.give_back(attempt, None if report is None else load_of(report))
        else:
            self._dispatcher.failed(session.attempt)
        if outcome.ending is Ending.REFUSED and session.is_live:
            attempt.flow.role = "ingress"
            is_lost = outcome.reason is None and site != self._routes.fib.site
            attempt.record_refusal(site, (LinkLost if is_lost else FlowRefused)(outcome.detail))
            self.place(session)
            return
        if outcome.ending is Ending.RESET:
            self._flows.reset += 1
            logger.debug("session %s to %s reset: %s", attempt.flow.id, site, outcome.detail)
        session.over()
