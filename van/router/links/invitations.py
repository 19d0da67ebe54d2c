"""The tokens that a site mints: invitations to a link, with what they grant."""

from collections.abc import Sequence
from datetime import timedelta

import trio

from van.control.values.tokens import TokenInfo
from van.errors import LocalError, NotAllowed, PortInUse
from van.names import Endpoint
from van.router.links.port import LinkPort
from van.router.links.reachable import reachable_endpoints
from van.router.site.settings import Settings
from van.router.site.trust import Trust
from van.tls.grants import Grants, dump_grants
from van.tls.ledger import TokenLedger
from van.tls.tokens import Token, mint


class Invitations:
    """Mints tokens, and knows those that were minted here."""

    def __init__(
        self,
        trust: Trust,
        ledger: TokenLedger,
        settings: Settings,
        link_port: LinkPort,
    ) -> None:
        self._trust = trust
        self._ledger = ledger
        self._settings = settings
        self._link_port = link_port
        self._opening = trio.Lock()

    async def mint(
        self,
        grants: Grants,
        *,
        cost: int,
        uses: int,
        lifetime: timedelta,
        names: Sequence[str] = (),
        replaces: bool = False,
    ) -> Token:
        """Mint a token, opening a link port on loopback when there is none; it is on disk then.

        Raises `NotAllowed` when this site may not invite, or may not give as much, `PortInUse`,
        or `StorageError`.
        """
        authority = self._trust.credentials.authority
        if authority is None:
            raise NotAllowed(
                f"site {self._trust.site!r} may not invite others: the token that let it "
                "in was made without --can-invite"
            )
        authority.check_may_grant(grants)
        authority.check_may_name(names)
        authority.check_may_live(grants.life)
        endpoints = await self._endpoints()
        self._ledger.purge(self._trust.clock().replace(microsecond=0))
        token = mint(
            authority,
            site=self._trust.site,
            addresses=endpoints,
            grants=grants,
            cost=cost,
            lifetime=lifetime,
            names=names,
            replaces=replaces,
            now=self._trust.clock(),
        )
        self._ledger.add(token, uses)
        return token

    def revoke(self, token_id: str) -> tuple[str, ...]:
        """Make a token worthless; return the sites that it had let in, which stay.

        Raises `NotFound`, or `StorageError`.
        """
        return tuple(site for site, _ in self._ledger.revoke(token_id).used_by)

    def statuses(self) -> tuple[TokenInfo, ...]:
        """Return the tokens that were minted here, those that expire last at the end."""
        now = self._trust.clock()
        return tuple(
            TokenInfo(
                id=record.id,
                state=record.state(now),
                expires_in=max(0.0, (record.expires - now).total_seconds()),
                uses=record.uses,
                used_by=tuple(site for site, _ in record.used_by),
                names=record.names,
                replaces=record.replaces,
                **dump_grants(record.grants),
            )
            for record in self._ledger.records()
        )

    async def _endpoints(self) -> tuple[Endpoint, ...]:
        """Return where others can dial this site; the link port is open, and kept so."""
        async with self._opening:
            if self._link_port.endpoint is None and self._link_port.failure:
                raise PortInUse(self._link_port.failure)
            if self._link_port.endpoint is None:
                await self._link_port.open(Endpoint("127.0.0.1", 0))
        port = self._link_port.endpoint
        if port is None:
            raise LocalError("the link port closed again: try once more")
        self._settings.keep_link_port(port)
        return self._settings.config.advertise or reachable_endpoints(port)
