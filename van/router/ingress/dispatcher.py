"""Finds an instance for each client's flow: the best one that takes it."""

import logging
import random
import time
from collections.abc import Collection
from functools import partial
from typing import Final

import attrs

from van.balancing.balancer import Balancer
from van.balancing.delay_curve import Load
from van.balancing.estimate import Candidate
from van.balancing.explanation import Explanation
from van.errors import LinkLost, RemoteError
from van.router.channels.channel import Channel
from van.router.channels.pools import Pools
from van.router.egress.connector import Served
from van.router.egress.egress import Egress, TargetRefused
from van.router.flow.observer import ExchangeObserver
from van.router.flow.outcome import Ending, Outcome
from van.router.flow.table import Flows
from van.router.ingress.attempt import FlowAttempt, FlowRefused, load_of
from van.router.ingress.stream import IngressCarrier
from van.router.links.routes import Routes
from van.router.reactor import sockets
from van.router.reactor.loop import EventLoop
from van.router.reactor.splice import DirectionFactory, Relay
from van.router.reactor.tasks import Tasks
from van.routing.paths.fib import Fib
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import Open
from van.wire.lsa import Distribution

logger = logging.getLogger(__name__)

DEFECT: Final = "a defect, see the log"


class Dispatcher:
    """Offers flows to instances, and carries each at the one that takes it."""

    def __init__(
        self,
        *,
        loop: EventLoop,
        flows: Flows,
        routes: Routes,
        pools: Pools,
        egress: Egress,
        make_direction: DirectionFactory,
    ) -> None:
        self.balancer = Balancer(random.Random())
        """Knows the flows under way from this ingress, and what came of others."""
        self.tasks = Tasks()
        """Those of flows that have to wait for something."""
        self._loop = loop
        self._flows = flows
        self._routes = routes
        self._pools = pools
        self._egress = egress
        self._make_direction = make_direction
        self._fib: Fib | None = None
        """The table that the candidates are of."""
        self._candidates: dict[ServiceKey, list[Candidate]] = {}

    def dispatch(self, attempt: FlowAttempt) -> None:
        """Have a flow carried, or its client reset when no instance takes it.

        Most flows need no task: a channel is ready, and what happens next is the loop's to see.
        """
        try:
            if not self._carry_at_once(attempt):
                self.tasks.start(self._place, attempt)
                self._loop.yield_to_tasks()
        except Exception:
            logger.exception("flow %s failed", attempt.flow.id)
            self._end(attempt, DEFECT)

    def _carry_at_once(self, attempt: FlowAttempt) -> bool:
        """Begin to carry a flow if that takes no waiting; tell whether it has begun."""
        site = self.choose(attempt)
        if site is None or site == self._routes.fib.site:
            return False
        channel = self._pools.pool(site).take()
        if channel is None:
            return False
        self.take_on(attempt, site)
        try:
            self._carry_to(site, channel, attempt)
        except BaseException:
            self.give_back(attempt)
            raise
        return True

    async def _place(self, attempt: FlowAttempt) -> None:
        """Find an instance, and wait for what it takes."""
        try:
            while (site := self.choose(attempt)) is not None or await attempt.may_try_again():
                if site is not None and await self._try(site, attempt):
                    return
        except Exception:
            # A defect that one flow meets must not end the others.
            logger.exception("flow %s failed", attempt.flow.id)
            self._end(attempt, DEFECT)
        except BaseException:
            self._end(attempt, "broken off")
            raise
        else:
            self._flows.refused += 1
            self._end(attempt, attempt.reason())
            logger.info(
                "flow %s to %s refused: %s", attempt.flow.id, attempt.flow.address, attempt.reason()
            )

    def _end(self, attempt: FlowAttempt, reason: str) -> None:
        sockets.close_with_reset(attempt.client)
        attempt.on_end(reason)

    def ranking(self, service: ServiceKey, *, without: Collection[str] = ()) -> list[str]:
        """Return the sites to which a flow that begins now is offered, one after the other."""
        candidates = self.candidates(service)
        if without:
            candidates = [each for each in candidates if each.site not in without]
        if len(candidates) < 2:  # nothing to choose from
            return [each.site for each in candidates]
        if self._routes.fib.distribution(service) is Distribution.CLOSEST:
            return self.balancer.rank_closest(service, candidates, time.monotonic())
        return self.balancer.rank(service, candidates, time.monotonic())

    def explain(self, service: ServiceKey) -> list[Explanation]:
        """Return what the ranking is made of, in its order."""
        distribution = self._routes.fib.distribution(service)
        found = self.balancer.explain(
            service,
            self.candidates(service),
            time.monotonic(),
            is_closest=distribution is not Distribution.BALANCED,
        )
        if distribution is Distribution.MULTICAST:
            found = [attrs.evolve(each, reason="gets a copy") for each in found]
        return found

    def candidates(self, service: ServiceKey) -> list[Candidate]:
        """Return the sites that serve an address and can be reached, as the balancer takes them."""
        fib = self._routes.fib
        if fib is not self._fib:
            self._fib = fib
            self._candidates.clear()
        found = self._candidates.get(service)
        if found is None:
            sites, terms = fib.services.get(service, ()), fib.terms.get(service, ())
            found = [
                Candidate(site, fib.round_trip(site), each.weight, each.precedence)
                for site, each in zip(sites, terms, strict=True)
            ]
            self._candidates[service] = found
            self.balancer.forget(service, sites)
        return found

    def choose(self, attempt: FlowAttempt) -> str | None:
        """Return the site that is to be tried next, or None when none is left."""
        return next(iter(self.ranking(attempt.service, without=attempt.excluded)), None)

    def _candidate(self, service: ServiceKey, site: str) -> Candidate:
        found = (each for each in self.candidates(service) if each.site == site)
        return next(found, Candidate(site, 0.0))

    def take_on(self, attempt: FlowAttempt, site: str) -> None:
        """Count a flow at a site, until it is given back or has failed."""
        attempt.flow.peer_site = site
        candidate = self._candidate(attempt.service, site)
        attempt.work = self.balancer.start(attempt.service, candidate, time.monotonic())

    def give_back(self, attempt: FlowAttempt, load: Load | None = None) -> None:
        """Count a flow no more at the site that had it."""
        if attempt.work is not None:
            work, attempt.work = attempt.work, None
            self.balancer.end(work, time.monotonic(), load)

    def failed(self, attempt: FlowAttempt) -> None:
        """Take note that a site did not take a flow, was not reached, or lost it."""
        if attempt.work is not None:
            work, attempt.work = attempt.work, None
            self.balancer.fail(work, time.monotonic())

    async def _try(self, site: str, attempt: FlowAttempt) -> bool:
        """Wait for a site that can be reached; tell whether it has the flow now."""
        self.take_on(attempt, site)
        try:
            if site == self._routes.fib.site:
                if await self._carry_locally(attempt):
                    self.give_back(attempt, load_of(self._egress.report(attempt.service)))
                else:
                    self.failed(attempt)
                attempt.on_end("")
            else:
                channel = await self._pools.pool(site).acquire()
                self._carry_to(site, channel, attempt)
        except RemoteError as exc:
            self.failed(attempt)
            attempt.record_refusal(site, exc)
            return False
        except BaseException:
            self.give_back(attempt)
            raise
        return True

    def _carry_to(self, site: str, channel: Channel, attempt: FlowAttempt) -> None:
        """Carry a flow on a channel to another site, which goes back to its pool in the end."""
        try:
            on_end = partial(self._ended, attempt)
            carrier = IngressCarrier(self._loop, attempt.client, channel, on_end, attempt)
            attempt.carrier = attempt.flow.carrying = carrier
            request = Open(attempt.flow.id, *attempt.service)
            carrier.start(request, first=attempt.first, is_ended=attempt.is_ended)
        except BaseException:
            self._pools.pool(site).release(channel, is_clean=False)
            raise

    def _ended(self, attempt: FlowAttempt, outcome: Outcome) -> None:
        """See what became of a flow at another site."""
        carrier, site = attempt.carrier, attempt.flow.peer_site
        assert carrier is not None
        pool = self._pools.pool(site)
        if pool.is_waited_for:
            self._loop.yield_to_tasks()
        pool.release(carrier.channel, is_clean=outcome.is_channel_clean)
        if outcome.ending is Ending.REFUSED:
            self.failed(attempt)
            attempt.first, attempt.is_ended = carrier.take_replay()
            attempt.carrier = attempt.flow.carrying = None
            is_lost = outcome.reason is None
            attempt.record_refusal(site, (LinkLost if is_lost else FlowRefused)(outcome.detail))
            self.dispatch(attempt)
            return
        if carrier.was_turned_away:
            # A target that ends flows at once is soon done with each, and would draw all of them.
            self.failed(attempt)
        else:
            self.give_back(attempt, None if carrier.report is None else load_of(carrier.report))
        if outcome.ending is Ending.RESET:
            self._flows.reset += 1
            logger.debug("flow %s to %s reset: %s", attempt.flow.id, site, outcome.detail)
        attempt.on_end("")

    async def _carry_locally(self, attempt: FlowAttempt) -> bool:
        """Carry a flow to a target of this site; tell whether that said anything when it was asked.

        Raises `FlowRefused` when no target took it.
        """
        try:
            instance, target = await self._egress.connect(attempt.service)
        except TargetRefused as exc:
            raise FlowRefused(str(exc) or "not served here") from exc
        attempt.flow.role = "local"
        served = Served(instance, attempt.flow, partial(self._egress.report, attempt.service))
        attempt.flow_opened(served.last_report())
        turns = _LocalTurns(attempt, served)
        try:
            if attempt.first:
                turns.request_sent()
                await sockets.send_plain(target, attempt.first)
            relay = Relay(self._loop, attempt.client, target, self._make_direction, turns)
            attempt.flow.carrying = relay
            await relay.ended()
        except OSError as exc:  # the target left before it took what the client had sent
            raise FlowRefused(sockets.describe(exc)) from exc
        finally:
            self._egress.left(served)
            target.close()
        if relay.was_reset:
            self._flows.reset += 1
        return relay.first_end != 1 or not turns.is_waiting


class _LocalTurns(ExchangeObserver):
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
