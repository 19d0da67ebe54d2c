"""Finds an instance for each client's flow: the best one that takes it."""

import logging
import random
import time
from collections.abc import Collection
from functools import partial
from typing import Final

import attrs

from van.balancing.balancer import Balancer, Candidate, Explanation
from van.balancing.delay_curve import Load
from van.errors import LinkLost, RemoteError
from van.router.channels.channel import Channel
from van.router.channels.pools import Pools
from van.router.egress.connector import Served
from van.router.egress.egress import Egress, TargetRefused
from van.router.flow.outcome import Ending, Outcome
from van.router.flow.table import Flows
from van.router.ingress.attempt import Declined, Offer, load_of
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

    def dispatch(self, offer: Offer) -> None:
        """Have a flow carried, or its client reset when no instance takes it.

        Most flows need no task: a channel is ready, and what happens next is the loop's to see.
        """
        try:
            if not self._carry_at_once(offer):
                self.tasks.start(self._place, offer)
                self._loop.yield_to_tasks()
        except Exception:
            logger.exception("flow %s failed", offer.flow.id)
            self._end(offer, DEFECT)

    def _carry_at_once(self, offer: Offer) -> bool:
        """Begin to carry a flow if that takes no waiting; tell whether it has begun."""
        site = self.choose(offer)
        if site is None or site == self._routes.fib.site:
            return False
        channel = self._pools.pool(site).take()
        if channel is None:
            return False
        self.take_on(offer, site)
        try:
            self._carry_to(site, channel, offer)
        except BaseException:
            self.give_back(offer)
            raise
        return True

    async def _place(self, offer: Offer) -> None:
        """Find an instance, and wait for what it takes."""
        try:
            while (site := self.choose(offer)) is not None or await offer.may_try_again():
                if site is not None and await self._try(site, offer):
                    return
        except Exception:
            # A defect that one flow meets must not end the others.
            logger.exception("flow %s failed", offer.flow.id)
            self._end(offer, DEFECT)
        except BaseException:
            self._end(offer, "broken off")
            raise
        else:
            self._flows.refused += 1
            self._end(offer, offer.reason())
            logger.info(
                "flow %s to %s refused: %s", offer.flow.id, offer.flow.address, offer.reason()
            )

    def _end(self, offer: Offer, reason: str) -> None:
        sockets.close_with_reset(offer.client)
        offer.on_end(reason)

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

    def choose(self, offer: Offer) -> str | None:
        """Return the site that is to be tried next, or None when none is left."""
        return next(iter(self.ranking(offer.service, without=offer.excluded)), None)

    def _candidate(self, service: ServiceKey, site: str) -> Candidate:
        found = (each for each in self.candidates(service) if each.site == site)
        return next(found, Candidate(site, 0.0))

    def take_on(self, offer: Offer, site: str) -> None:
        """Count a flow at a site, until it is given back or has failed."""
        offer.flow.peer_site = site
        candidate = self._candidate(offer.service, site)
        offer.work = self.balancer.start(offer.service, candidate, time.monotonic())

    def give_back(self, offer: Offer, load: Load | None = None) -> None:
        """Count a flow no more at the site that had it."""
        if offer.work is not None:
            work, offer.work = offer.work, None
            self.balancer.end(work, time.monotonic(), load)

    def failed(self, offer: Offer) -> None:
        """Take note that a site did not take a flow, was not reached, or lost it."""
        if offer.work is not None:
            work, offer.work = offer.work, None
            self.balancer.fail(work, time.monotonic())

    async def _try(self, site: str, offer: Offer) -> bool:
        """Wait for a site that can be reached; tell whether it has the flow now."""
        self.take_on(offer, site)
        try:
            if site == self._routes.fib.site:
                if await self._carry_locally(offer):
                    self.give_back(offer, load_of(self._egress.report(offer.service)))
                else:
                    self.failed(offer)
                offer.on_end("")
            else:
                channel = await self._pools.pool(site).acquire()
                self._carry_to(site, channel, offer)
        except RemoteError as exc:
            self.failed(offer)
            offer.decline(site, exc)
            return False
        except BaseException:
            self.give_back(offer)
            raise
        return True

    def _carry_to(self, site: str, channel: Channel, offer: Offer) -> None:
        """Carry a flow on a channel to another site, which goes back to its pool in the end."""
        try:
            on_end = partial(self._ended, offer)
            carrier = IngressCarrier(self._loop, offer.client, channel, on_end, offer)
            offer.carrier = offer.flow.carrying = carrier
            request = Open(offer.flow.id, *offer.service)
            carrier.start(request, first=offer.first, is_ended=offer.is_ended)
        except BaseException:
            self._pools.pool(site).release(channel, is_clean=False)
            raise

    def _ended(self, offer: Offer, outcome: Outcome) -> None:
        """See what became of a flow at another site."""
        carrier, site = offer.carrier, offer.flow.peer_site
        assert carrier is not None
        pool = self._pools.pool(site)
        if pool.is_waited_for:
            self._loop.yield_to_tasks()
        pool.release(carrier.channel, is_clean=outcome.is_channel_clean)
        if outcome.ending is Ending.REFUSED:
            self.failed(offer)
            offer.first, offer.is_ended = carrier.take_replay()
            offer.carrier = offer.flow.carrying = None
            is_lost = outcome.reason is None
            offer.decline(site, (LinkLost if is_lost else Declined)(outcome.detail))
            self.dispatch(offer)
            return
        if carrier.was_turned_away:
            # A target that ends flows at once is soon done with each, and would draw all of them.
            self.failed(offer)
        else:
            self.give_back(offer, None if carrier.report is None else load_of(carrier.report))
        if outcome.ending is Ending.RESET:
            self._flows.reset += 1
            logger.debug("flow %s to %s reset: %s", offer.flow.id, site, outcome.detail)
        offer.on_end("")

    async def _carry_locally(self, offer: Offer) -> bool:
        """Carry a flow to a target of this site; tell whether that said anything when it was asked.

        Raises `Declined` when no target took it.
        """
        try:
            instance, target = await self._egress.connect(offer.service)
        except TargetRefused as exc:
            raise Declined(str(exc) or "not served here") from exc
        offer.flow.role = "local"
        served = Served(instance, offer.flow, partial(self._egress.report, offer.service))
        offer.opened(served.last_report())
        turns = _LocalTurns(offer, served)
        try:
            if offer.first:
                turns.asked()
                await sockets.send_plain(target, offer.first)
            relay = Relay(self._loop, offer.client, target, self._make_direction, turns)
            offer.flow.carrying = relay
            await relay.ended()
        except OSError as exc:  # the target left before it took what the client had sent
            raise Declined(sockets.describe(exc)) from exc
        finally:
            self._egress.left(served)
            target.close()
        if relay.was_reset:
            self._flows.reset += 1
        return relay.first_end != 1 or not turns.is_waiting


class _LocalTurns:
    """What is to be known of a flow within the site, whose bytes nobody looks at."""

    def __init__(self, offer: Offer, served: Served) -> None:
        self.is_waiting = False
        """Whether the client has asked, and had no answer yet."""
        self._offer = offer
        self._served = served

    def asked(self) -> None:
        """Tell everyone who learns from it."""
        if not self.is_waiting:
            self.is_waiting = True
            self._served.asked()
            self._offer.asked()

    def answered(self) -> None:
        """Tell everyone who learns from it."""
        if self.is_waiting:
            self.is_waiting = False
            self._served.answered()
            self._offer.answered()
