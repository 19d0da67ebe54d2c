"""Finds an instance for each client's flow: the best one that takes it."""

import logging
import random
from collections.abc import Container

from van.errors import LinkLost, RemoteError
from van.router import sockets
from van.router.carrier import Ending
from van.router.egress import Egress, TargetRefused
from van.router.flows import Flows
from van.router.ingress_carrier import IngressCarrier
from van.router.offer import Declined, Offer
from van.router.pools import Pools
from van.router.pump import Pump
from van.router.relay import DirectionFactory, Relay
from van.router.routes import Routes
from van.routing.balance import Outstanding, rank
from van.routing.service_index import ServiceKey
from van.wire.channel import Open

logger = logging.getLogger(__name__)


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
        self._pump = pump
        self._flows = flows
        self._routes = routes
        self._pools = pools
        self._egress = egress
        self._make_direction = make_direction
        self._rng = random.Random()

    async def carry(self, offer: Offer) -> str:
        """Carry a flow to the end, or reset its client when no instance takes it.

        Returns why nobody took it, or nothing. The client's socket is closed on return.
        """
        try:
            while (site := self._choose(offer)) is not None or await offer.may_try_again():
                if site is not None and await self._try(site, offer):
                    return ""
        except BaseException:
            sockets.close_with_reset(offer.client)
            raise
        self._flows.refused += 1
        logger.info("flow %s to %s refused: %s", offer.flow.id, offer.flow.address, offer.reason())
        sockets.close_with_reset(offer.client)
        return offer.reason()

    def ranking(self, service: ServiceKey, *, without: Container[str] = ()) -> list[str]:
        """Return the sites to which a flow that begins now is offered, one after the other."""
        fib = self._routes.fib
        candidates = [site for site in fib.services.get(service, ()) if site not in without]
        costs = {site: fib.routes[site].cost for site in candidates}
        outstanding = self.outstanding.at(service)
        return rank(candidates, costs=costs, outstanding=outstanding, rng=self._rng)

    def _choose(self, offer: Offer) -> str | None:
        return next(iter(self.ranking(offer.service, without=offer.excluded)), None)

    async def _try(self, site: str, offer: Offer) -> bool:
        """Carry a flow to one site; tell whether that site took it."""
        offer.flow.peer_site = site
        self.outstanding.add(offer.service, site)
        try:
            if site == self._routes.fib.site:
                await self._carry_locally(offer)
            else:
                await self._carry_to(site, offer)
        except RemoteError as exc:
            offer.decline(site, exc)
            return False
        finally:
            self.outstanding.remove(offer.service, site)
        return True

    async def _carry_to(self, site: str, offer: Offer) -> None:
        """Carry a flow to another site; raises `RemoteError` when it did not take it."""
        pool = self._pools.pool(site)
        channel = await pool.acquire()
        is_clean = False
        try:
            carrier = IngressCarrier(self._pump, offer.client, channel)
            offer.flow.meter = lambda: (carrier.bytes_from_local, carrier.bytes_to_local)
            request = Open(offer.flow.id, *offer.service)
            carrier.start(request, first=offer.first, is_ended=offer.is_ended)
            outcome = await carrier.finished()
            is_clean = outcome.is_channel_clean
        finally:
            pool.release(channel, is_clean=is_clean)
        if outcome.ending is Ending.REFUSED:
            offer.first, offer.is_ended = carrier.take_replay()
            raise LinkLost(outcome.detail) if outcome.reason is None else Declined(outcome.detail)
        if outcome.ending is Ending.RESET:
            self._flows.reset += 1
            logger.debug("flow %s to %s reset: %s", offer.flow.id, site, outcome.detail)

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
            offer.flow.meter = lambda: (relay.bytes_forward, relay.bytes_backward)
            await relay.ended()
        except OSError as exc:  # the target left before it took what the client had sent
            raise Declined(sockets.describe(exc)) from exc
        finally:
            connector.flows -= 1
            target.close()
        if relay.was_reset:
            self._flows.reset += 1
