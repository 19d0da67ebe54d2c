"""The requests about tokens that are minted here."""

from datetime import timedelta

from van.control.values.base import Created
from van.control.values.tokens import TokenCreate, TokenCreated, TokenInfo
from van.names import check_pattern
from van.router.links.invitations import Invitations
from van.router.links.reachable import is_loopback
from van.router.management.links import read_cost
from van.tls.grants import SITE_LIFETIME, Grants
from van.tls.tokens import encode_token


class TokenRequests:
    """Reads what is asked about tokens, and has it done."""

    def __init__(self, invitations: Invitations) -> None:
        self._invitations = invitations

    async def create(self, spec: TokenCreate) -> TokenCreated:
        """Mint a token, opening a link port on loopback when there is none."""
        grants = Grants(
            can_invite=spec.can_invite,
            allow_expose=tuple(map(check_pattern, spec.allow_expose)),
            allow_bind=tuple(map(check_pattern, spec.allow_bind)),
            may_name=spec.may_name,
            may_tag=spec.may_tag,
            tags=spec.tags,
            life=SITE_LIFETIME if spec.life is None else timedelta(seconds=spec.life),
            is_ephemeral=spec.is_ephemeral,
        )
        token = await self._invitations.mint(
            grants,
            cost=read_cost(spec.cost),
            uses=spec.uses,
            lifetime=timedelta(seconds=spec.expires_in),
            names=spec.names,
            replaces=spec.replaces,
        )
        return TokenCreated(
            id=token.id,
            token=encode_token(token),
            addresses=tuple(map(str, token.addresses)),
            is_local_only=all(map(is_loopback, token.addresses)),
        )

    async def list(self) -> tuple[TokenInfo, ...]:
        """Return the tokens that this site minted."""
        return self._invitations.statuses()

    async def revoke(self, token_id: str) -> Created:
        """Make a token worthless; sites that it let in stay."""
        sites = ", ".join(self._invitations.revoke(token_id))
        return Created(state="revoked", detail=f"it had let in: {sites}" if sites else "")
