"""The requests about tokens that are minted here."""

from datetime import timedelta

from van.control.values.base import Created
from van.control.values.tokens import TokenCreate, TokenCreated, TokenInfo
from van.errors import StorageError
from van.names import check_pattern
from van.router.links.invitations import Invitations
from van.router.links.reachable import is_loopback
from van.router.management.links import read_cost
from van.router.site.audit import Audit, AuditKind
from van.router.site.trust import Trust
from van.tls.grants import Grants
from van.tls.tokens import encode_token


class TokenRequests:
    """Reads what is asked about tokens, and has it done."""

    def __init__(self, invitations: Invitations, trust: Trust, audit: Audit) -> None:
        self._invitations = invitations
        self._trust = trust
        self._audit = audit

    async def create(self, spec: TokenCreate) -> TokenCreated:
        """Mint a token, opening a link port on loopback when there is none."""
        grants = Grants(
            can_invite=spec.can_invite,
            allow_expose=tuple(map(check_pattern, spec.allow_expose)),
            allow_bind=tuple(map(check_pattern, spec.allow_bind)),
            may_name=spec.may_name,
            may_tag=spec.may_tag,
            tags=spec.tags,
            life=self._life(spec.life),
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
        try:
            self._audit.record(AuditKind.MINTED, token.id, _describe(grants, spec))
        except StorageError:
            self._invitations.revoke(token.id)
            raise
        return TokenCreated(
            id=token.id,
            token=encode_token(token),
            addresses=tuple(map(str, token.addresses)),
            is_local_only=all(map(is_loopback, token.addresses)),
        )

    def _life(self, seconds: int | None) -> timedelta:
        """Return how long certificates are to be good: as long as this site's own if nothing is
        said, which the VAN has set."""
        return self._trust.identity.grants.life if seconds is None else timedelta(seconds=seconds)

    async def list(self) -> tuple[TokenInfo, ...]:
        """Return the tokens that this site minted."""
        return self._invitations.statuses()

    async def revoke(self, token_id: str) -> Created:
        """Make a token worthless; sites that it let in stay."""
        with self._audit.telling(AuditKind.REVOKED, token_id, ""):
            sites = ", ".join(self._invitations.revoke(token_id))
        return Created(state="revoked", detail=f"it had let in: {sites}" if sites else "")


def _describe(grants: Grants, spec: TokenCreate) -> str:
    """Return what a token gives, and to whom, for the audit trail."""
    found = {
        "tags": grants.tags,
        "expose": grants.allow_expose,
        "bind": grants.allow_bind,
    }
    whom = f"for {', '.join(spec.names) or 'anyone'}"
    said = [f"{what} {', '.join(each) or 'none'}" for what, each in found.items()]
    invite = "may invite" if grants.can_invite else "may not invite"
    uses = "1 use" if spec.uses == 1 else f"{spec.uses} uses"
    return "; ".join((whom, *said, invite, uses))
