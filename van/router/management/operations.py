"""What the control API does: one method for each request, with what it answers."""

import time
from datetime import timedelta
from typing import Final

import attrs
import trio

from van.config import DEFAULT_HOLD, LinkConfig
from van.control import endpoints as api
from van.control.values.base import Created
from van.control.values.links import (
    LinkAccept,
    LinkAccepted,
    LinkCost,
    LinkHold,
)
from van.control.values.status import Status
from van.control.values.tokens import TokenCreate, TokenCreated, TokenInfo
from van.errors import LocalError, NotAllowed
from van.names import Endpoint, check_pattern
from van.router.links.join import Guest, check_may_join
from van.router.management.attachments import Attachments
from van.router.management.handlers import Handlers
from van.router.management.inspection import Inspection
from van.router.management.maintenance import Maintenance
from van.router.management.reachable import is_loopback, reachable_endpoints
from van.router.management.status import router_status
from van.router.router import Router
from van.tls.grants import Grants
from van.tls.ledger import TokenRecord
from van.tls.tokens import Token, decode_token, encode_token, mint
from van.wire.fields import AUTO_COST

LINK_UP_TIMEOUT: Final = 5.0
"""Seconds that accepting a token waits for the link, before it answers without."""


class Operations:
    """Carries out requests on a router."""

    def __init__(self, router: Router) -> None:
        self.attachments = Attachments(router.connectors, router.listeners, router.routes)
        self.maintenance = Maintenance(router)
        self.inspection = Inspection(router)
        self._router = router
        self._started_at = time.monotonic()
        self._guest = Guest()
        self._joining = trio.Lock()
        self._opening = trio.Lock()

    def handlers(self) -> Handlers:
        """Return who answers what."""
        return Handlers(
            {
                api.STATUS: self.status,
                api.NETWORK: self.inspection.network,
                api.NETWORK_FROM: self.inspection.network_from,
                api.TRACE: self.inspection.trace,
                api.EXPLAIN: self.inspection.explain,
                api.EVENTS: self.inspection.events,
                api.STOP: self.stop,
                api.LIST_TOKENS: self.list_tokens,
                api.CREATE_TOKEN: self.create_token,
                api.REVOKE_TOKEN: self.revoke_token,
                api.ACCEPT_TOKEN: self.accept_token,
                api.DELETE_LINK: self.delete_link,
                api.SET_COST: self.set_cost,
                api.SET_HOLD: self.set_hold,
                api.DRAIN: self.maintenance.drain,
                api.UNDRAIN: self.maintenance.undrain,
                api.EXPOSE: self.attachments.expose,
                api.UNEXPOSE: self.attachments.unexpose,
                api.BIND: self.attachments.bind,
                api.UNBIND: self.attachments.unbind,
            }
        )

    async def status(self) -> Status:
        """Return the state of the router and of the network as it sees it."""
        return router_status(self._router, self._started_at)

    async def stop(self) -> Created:
        """Begin to stop; the answer goes out before the router is gone."""
        self._router.stop()
        return Created(state="stopping", detail="")

    # -- tokens ------------------------------------------------------------------------------------

    async def list_tokens(self) -> tuple[TokenInfo, ...]:
        """Return the tokens that this site minted."""
        now = self._router.trust.clock()
        return tuple(
            TokenInfo(
                id=record.id,
                state=record.state(now),
                expires_in=max(0.0, (record.expires - now).total_seconds()),
                uses=record.uses,
                used_by=tuple(site for site, _ in record.used_by),
                can_invite=record.grants.can_invite,
                allow_expose=record.grants.allow_expose,
                allow_bind=record.grants.allow_bind,
            )
            for record in self._router.ledger.records()
        )

    async def create_token(self, spec: TokenCreate) -> TokenCreated:
        """Mint a token, opening a link port on loopback when there is none."""
        authority = self._router.trust.credentials.authority
        if authority is None:
            raise NotAllowed(
                f"site {self._router.trust.site!r} may not invite others: the token that let it "
                "in was made without --can-invite"
            )
        grants = Grants(
            can_invite=spec.can_invite,
            allow_expose=tuple(map(check_pattern, spec.allow_expose)),
            allow_bind=tuple(map(check_pattern, spec.allow_bind)),
        )
        authority.check_may_grant(grants)
        endpoints = await self._endpoints_for_token()
        now = self._router.trust.clock().replace(microsecond=0)
        self._router.ledger.purge(now)
        token = mint(
            authority,
            site=self._router.trust.site,
            addresses=endpoints,
            grants=grants,
            cost=_cost(spec.cost),
            lifetime=timedelta(seconds=spec.expires_in),
        )
        self._router.ledger.add(token, spec.uses)
        return TokenCreated(
            id=token.id,
            token=encode_token(token),
            addresses=tuple(map(str, endpoints)),
            is_local_only=all(map(is_loopback, endpoints)),
        )

    async def _endpoints_for_token(self) -> tuple[Endpoint, ...]:
        router = self._router
        async with self._opening:
            if router.link_port.endpoint is None:
                await router.open_link_port(Endpoint("127.0.0.1", 0))
        port = router.link_port.endpoint
        if port is None:
            raise LocalError("the link port closed again: try once more")
        if router.settings.config.listen is None:
            router.settings.change(lambda config: attrs.evolve(config, listen=port))
        return router.settings.config.advertise or reachable_endpoints(port)

    async def revoke_token(self, token_id: str) -> Created:
        """Make a token worthless; sites that it let in stay."""
        record: TokenRecord = self._router.ledger.revoke(token_id)
        sites = ", ".join(site for site, _ in record.used_by)
        return Created(state="revoked", detail=f"it had let in: {sites}" if sites else "")

    # -- links -------------------------------------------------------------------------------------

    async def accept_token(self, spec: LinkAccept) -> LinkAccepted:
        """Join the token's VAN, or, as a member of it, gain a link."""
        token = decode_token(spec.token, now=self._router.trust.clock())
        async with self._joining:
            return await self._accept(token, spec)

    async def _accept(self, token: Token, spec: LinkAccept) -> LinkAccepted:
        router = self._router
        ours = router.trust.credentials
        is_member = check_may_join(ours, token, is_alone=self._is_alone())
        if ours.site == token.site:
            raise LocalError(
                f"site name {ours.site!r} is taken in that VAN: choose another with 'van init'"
            )
        is_valid_member = is_member and ours.identity.not_after > router.trust.clock()
        guest = Guest.returning(ours) if is_member else self._guest
        admission = await guest.join(ours, token, is_member=is_valid_member)
        if not is_valid_member:
            router.install(admission.credentials)
            self._guest = Guest()
        cost = admission.cost if spec.cost is None else _cost(spec.cost)
        hold = DEFAULT_HOLD if spec.hold is None else spec.hold
        router.links.dial(LinkConfig(admission.neighbor, token.addresses, cost, hold))
        is_up = await router.links.wait_up(admission.neighbor, LINK_UP_TIMEOUT)
        dialer = router.links.dialers.get(admission.neighbor)
        return LinkAccepted(
            van=router.trust.van_id,
            neighbor=admission.neighbor,
            joined=not is_member,
            is_up=is_up,
            detail="" if is_up or dialer is None else dialer.detail,
        )

    def _is_alone(self) -> bool:
        """Tell whether this site has its VAN to itself, and so may leave it for another."""
        router = self._router
        authority = router.trust.credentials.authority
        return (
            authority is not None
            and authority.is_root
            and not router.ledger.issued_any
            and not router.settings.config.links
        )

    async def delete_link(self, neighbor: str) -> Created:
        """Give up a link, at both of its ends."""
        self._router.links.delete(neighbor, f"deleted at site {self._router.trust.site!r}")
        return Created(state="deleted", detail="")

    async def set_cost(self, neighbor: str, spec: LinkCost) -> Created:
        """Set the cost of a link, at both of its ends."""
        self._router.links.terms.set_cost(neighbor, _cost(spec.cost))
        return Created(state="changed", detail=f"cost {spec.cost}")

    async def set_hold(self, neighbor: str, spec: LinkHold) -> Created:
        """Set how long a link may be silent, at both of its ends."""
        self._router.links.terms.set_hold_time(neighbor, spec.hold)
        return Created(state="changed", detail=f"lost after {spec.hold:g} s of silence")


def _cost(cost: int | str) -> int:
    return AUTO_COST if isinstance(cost, str) else cost
