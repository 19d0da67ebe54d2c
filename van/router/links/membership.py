"""How a site comes into a VAN, or gains a link in it: it accepts a token, and links up."""

from datetime import datetime
from typing import Final

import trio

from van.config import LinkConfig
from van.control.values.links import LinkAccepted
from van.errors import LocalError
from van.router.links.join_client import JoinClient, check_may_join
from van.router.links.links import Links
from van.router.site.state import SiteState
from van.tls.tokens import Token, decode_token

LINK_UP_TIMEOUT: Final = 5.0
"""Seconds that accepting a token waits for the link, before it answers without."""


class Membership:
    """Accepts tokens, one at a time."""

    def __init__(self, site: SiteState, links: Links) -> None:
        self._site = site
        self._trust = site.trust
        self._ledger = site.ledger
        self._settings = site.settings
        self._links = links
        self._join_client = JoinClient(clock=self._clock)
        self._joining = trio.Lock()

    async def accept(self, text: str, *, cost: int | None, hold: float) -> LinkAccepted:
        """Join the VAN of a token, or, as a member of it, gain a link; it is on disk then.

        Without a cost, the link has the one that the token says. Raises `LocalError` for a token
        that is not valid or not for this site, `JoinRefused`, `Unreachable`, or `StorageError`.
        """
        token = decode_token(text)
        async with self._joining:
            return await self._accept(token, cost, hold)

    async def _accept(self, token: Token, cost: int | None, hold: float) -> LinkAccepted:
        ours = self._trust.credentials
        is_member = check_may_join(ours, token, is_alone=self.is_alone())
        if ours.site == token.site:
            raise LocalError(
                f"site name {ours.site!r} is taken in that VAN: make a site of another name, with "
                "'van init', and accept the token there"
            )
        is_valid_member = is_member and ours.identity.not_after > self._trust.clock()
        client = JoinClient.returning(ours, clock=self._clock) if is_member else self._join_client
        admission = await client.join(ours, token, is_member=is_valid_member)
        if admission.credentials is not ours:
            self._site.install(admission.credentials)
            self._join_client = JoinClient(clock=self._clock)
        now = self._trust.identity.grants
        neighbor = admission.neighbor
        cost = admission.cost if cost is None else cost
        config = LinkConfig(neighbor, token.addresses, cost, hold)
        self._links.dial(config, first=admission.endpoint)
        is_up = await self._links.table.wait_up(neighbor, LINK_UP_TIMEOUT)
        dialer = self._links.dialers.get(neighbor)
        return LinkAccepted(
            van=self._trust.van_id,
            neighbor=neighbor,
            joined=not is_member,
            is_up=is_up,
            detail="" if is_up or dialer is None else dialer.detail,
            warning=admission.warning,
            note=admission.note,
            has_gained=is_member and now != ours.identity.grants,
            can_invite=self._trust.can_invite,
            allow_expose=now.allow_expose,
            allow_bind=now.allow_bind,
        )

    def _clock(self) -> datetime:
        return self._trust.clock()

    def is_alone(self) -> bool:
        """Tell whether this site has its VAN to itself, and so may leave it for another."""
        authority = self._trust.credentials.authority
        return (
            authority is not None
            and authority.is_root
            and not self._ledger.issued_any
            and not self._settings.config.links
        )
