"""Finds an instance for each client's flow: the best one that takes it."""

import logging
import random
from collections.abc import Container
from functools import partial
from typing import Final

from van.errors import LinkLost, RemoteError
from van.router import sockets
from van.router.carrier import Ending, Outcome
from van.router.channel import Channel
from van.router.egress import Egress, TargetRefused
from van.router.flows import Flows
from van.router.ingress_carrier import IngressCarrier
from van.router.offer import Declined, Offer
from van.router.pools import Pools
from van.router.pump import Pump
from van.router.relay import DirectionFactory, Relay
from van.router.routes import Routes
from van.router.tasks import Tasks
from van.routing.balance import Outstanding, rank
from van.routing.service_index import ServiceKey
from van.wire.channel import Open

logger = logging.getLogger(__name__)

DEFECT: Final = "a defect, see the log"


class Dispatcher:
    """Offers flows to instances, and carries each at the one that takes it."""

    def __init__(
        self,
        *,
        pump: Pump,
        flows: Flows,
        routes: Routes,
        pools: Pools,
        egress: Egress,
        make_direction: DirectionFactory,
    ) -> None:
        self.outstanding = Outstanding()
        """Flows under way from this ingress."""
        self.tasks = Tasks()
        """Those of flows that have to wait for something."""
        self._pump = pump
        self._flows = flows
        self._routes = routes
        self._pools = pools
        self._egress = egress
        self._make_direction = make_direction
        self._rng = random.Random()

    def dispatch(self, offer: Offer) -> None:
        """Have a flow carried, or its client reset when no instance takes it.

        Most flows need no task: a channel is ready, and what happens next is the pump's to see.
        """
        try:
            if not self._carry_at_once(offer):
                self.tasks.start(self._place, offer)
                self._pump.give_way()
        except Exception:
            logger.exception("flow %s failed", offer.flow.id)
            self._end(offer, DEFECT)

    def _carry_at_once(self, offer: Offer) -> bool:
        """Begin to carry a flow if that takes no waiting; tell whether it has begun."""
        site = self._choose(offer)
        if site is None or site == self._routes.fib.site:
            return False
        channel = self._pools.pool(site).take()
        if channel is None:
            return False
        self._take_on(offer, site)
        try:
            self._carry_to(site, channel, offer)
        except BaseException:
            self.outstanding.remove(offer.service, site)
            raise
        return True

    async def _place(self, offer: Offer) -> None:
        """Find an instance, and wait for what it takes."""
        try:
            while (site := self._choose(offer)) is not None or await offer.may_try_again():
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

    def ranking(self, service: ServiceKey, *, without: Container[str] = ()) -> list[str]:
        """Return the sites to which a flow that begins now is offered, one after the other."""
        fib = self._routes.fib
        candidates = [site for site in fib.services.get(service, ()) if site not in without]
        costs = {site: fib.routes[site].cost for site in candidates}
        outstanding = self.outstanding.at(service)
        return rank(candidates, costs=costs, outstanding=outstanding, rng=self._rng)

    def _choose(self, offer: Offer) -> str | None:
        return next(iter(self.ranking(offer.service, without=offer.excluded)), None)

    def _take_on(self, offer: Offer, site: str) -> None:
        offer.flow.peer_site = site
        self.outstanding.add(offer.service, site)

    async def _try(self, site: str, offer: Offer) -> bool:
        """Wait for a site that can be reached; tell whether it has the flow now."""
        self._take_on(offer, site)
        try:
            if site == self._routes.fib.site:
                await self._carry_locally(offer)
                self.outstanding.remove(offer.service, site)
                offer.on_end("")
            else:
                channel = await self._pools.pool(site).acquire()
                self._carry_to(site, channel, offer)
        except RemoteError as exc:
            self.outstanding.remove(offer.service, site)
            offer.decline(site, exc)
            return False
        except BaseException:
            self.outstanding.remove(offer.service, site)
            raise
        return True

    def _carry_to(self, site: str, channel: Channel, offer: Offer) -> None:
        """Carry a flow on a channel to another site, which goes back to its pool in the end."""
        try:
            carrier = IngressCarrier(self._pump, offer.client, channel, partial(self._ended, offer))
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
            self._pump.give_way()
        pool.release(carrier.channel, is_clean=outcome.is_channel_clean)
        self.outstanding.remove(offer.service, site)
        if outcome.ending is Ending.REFUSED:
            offer.first, offer.is_ended = carrier.take_replay()
            offer.carrier = offer.flow.carrying = None
            is_lost = outcome.reason is None
            offer.decline(site, (LinkLost if is_lost else Declined)(outcome.detail))
            self.dispatch(offer)
            return
        if outcome.ending is Ending.RESET:
            self._flows.reset += 1
            logger.debug("flow %s to %s reset: %s", offer.flow.id, site, outcome.detail)
        offer.on_end("")

    async def _carry_locally(self, offer: Offer) -> None:
        """Carry a flow to a target of this site; raises `Declined` when none took it."""
        try:
            connector, target = await self._egress.connect(offer.service)
        except TargetRefused as exc:
            raise Declined(str(exc) or "not served here") from exc
        offer.flow.role = "local"
        connector.flows += 1
        try:
            await sockets.send_plain(target, offer.first)
            relay = Relay(self._pump, offer.client, target, self._make_direction)
            offer.flow.carrying = relay
            await relay.ended()
        except OSError as exc:  # the target left before it took what the client had sent
            raise Declined(sockets.describe(exc)) from exc
        finally:
            connector.flows -= 1
            target.close()
        if relay.was_reset:
            self._flows.reset += 1
