"""The requests about the VAN's authority: who holds it, and that this site is to hold it."""

from collections import Counter
from collections.abc import Sequence

from van.control.values.authority import (
    Authorities,
    AuthorityGrantSpec,
    AuthorityInfo,
    AuthorityRestore,
    AuthorityRestored,
    RootRoll,
    RootRolled,
    RootRollSpec,
)
from van.control.values.base import Created
from van.errors import AlreadyExists, CertificateError, LocalError
from van.router.links.granting import Granting
from van.router.links.membership import Membership
from van.router.links.rolling import Progress, Rolling
from van.router.links.routes import Routes
from van.router.site.audit import AuditKind
from van.router.site.changes import ALREADY
from van.router.site.state import SiteState
from van.router.telemetry.events import EventKind, EventLog
from van.tls.authority import Authority
from van.tls.holders import HeldAuthority, authorities_of, standing_of
from van.tls.keys import fingerprint
from van.tls.pem import decode_chain, decode_key, decode_root


class AuthorityRequests:
    """Tells who holds what, and takes a root from a back-up."""

    def __init__(
        self,
        site: SiteState,
        routes: Routes,
        membership: Membership,
        granting: Granting,
        rolling: Rolling,
        *,
        event_log: EventLog,
    ) -> None:
        self._site = site
        self._trust = site.trust
        self._routes = routes
        self._membership = membership
        self._granting = granting
        self._rolling = rolling
        self._event_log = event_log

    async def show(self) -> Authorities:
        """Return the authorities that are known here: those that sites say they hold, and those
        that certificates rest on, whose sites may be away."""
        ours = self._trust.authority()
        bodies = self._routes.identities()
        told = {site: body.authority for site, body in bodies.items()} | {self._trust.site: ours}
        root = self._trust.credentials.root
        standings = {site: standing_of(chain, root) for site, chain in told.items()}
        holders: dict[str, list[str]] = {}
        for site, standing in sorted(standings.items()):
            if standing is not None and standing.is_root:
                holders.setdefault(standing.roots.newest, []).append(site)
        shown = {site: body.chain for site, body in bodies.items()}
        shown[self._trust.site] = self._trust.chain()
        rests = {site: self._read(chain[1:]) for site, chain in shown.items()}
        issued = Counter(each[0].key for each in rests.values() if each)
        said = [self._read(chain) for chain in told.values() if chain is not None]
        found = {each.key: each for chain in (*rests.values(), *said) for each in chain}
        reachable = {*self._routes.fib.routes, self._trust.site}
        rows = [
            _describe(each, holder, issued[each.key], is_reachable=holder in reachable)
            for each in sorted(found.values(), key=lambda each: each.site)
            for holder in ([each.site] if each.site else holders.get(each.key, [""]))
        ]
        held = self._trust.credentials.authority
        key = "" if held is None else fingerprint(held.key.public_key())
        own = (each for each in rows if (each.site, each.key) == (self._trust.site, key))
        return Authorities(
            van=self._trust.van_id,
            site=self._trust.site,
            held=next(own, None),
            known=tuple(rows),
            roll=self._roll(),
        )

    def _roll(self) -> RootRoll | None:
        found = self._rolling.progress()
        if found is None:
            return None
        return RootRoll(renewed=found.renewed, pending=found.pending, ends_at=found.ends_at)

    async def roll(self, spec: RootRollSpec) -> RootRolled:
        """Replace the root that this site holds, or put out the old one.

        Raises `LocalError`, or `StorageError`, and nothing has changed.
        """
        before = self._rolling.progress()
        if spec.is_trial:
            check = self._rolling.check_finish if spec.finish else self._rolling.check_roll
            check()
        elif spec.finish:
            with self._site.audit.telling(AuditKind.ROOT_REPLACED, "", "the old root is put out"):
                self._rolling.finish()
        else:
            with self._site.audit.telling(AuditKind.ROOT_REPLACED, "", "another one succeeds it"):
                self._rolling.roll()
        found = self._rolling.progress() or before or Progress((), (), None)
        state = "finished" if spec.finish else "rolling"
        return RootRolled(state=state, renewed=found.renewed, pending=found.pending)

    def _read(self, chain: Sequence[bytes]) -> tuple[HeldAuthority, ...]:
        """Return the authorities of a chain, or nothing if it is not one of this VAN."""
        try:
            return authorities_of(chain, self._trust.credentials.root)
        except CertificateError:
            return ()

    async def grant(self, spec: AuthorityGrantSpec) -> Created:
        """Make another site's authority second to the root that this site holds."""
        was_granted = await self._granting.grant(spec.site)
        return Created(state=ALREADY if was_granted else "granted", detail="")

    async def restore(self, spec: AuthorityRestore) -> AuthorityRestored:
        """Make this site hold a root; it is on disk then.

        Raises `AlreadyExists` or another `LocalError`, and nothing has changed.
        """
        try:
            root, chain = decode_root(spec.root), decode_chain(spec.certificates)
            authority = Authority(decode_key(spec.key), chain, root)
        except CertificateError as exc:
            raise LocalError(f"this is no root: {exc}") from exc
        ours = self._trust.credentials
        self._check_restorable(authority)
        self._site.install(ours.with_authority(authority, now=self._trust.clock()))
        text = f"it holds the root of VAN {authority.van_id} now, from a back-up"
        self._event_log.record(EventKind.AUTHORITY_CHANGED, ours.site, text)
        return AuthorityRestored(van=authority.van_id, joined=ours.van_id != authority.van_id)

    def _check_restorable(self, authority: Authority) -> None:
        ours = self._trust.credentials
        if not authority.is_root:
            raise LocalError("only a root can be restored: another authority is renewed by others")
        if ours.van_id != authority.van_id:
            if not self._membership.is_alone():
                raise LocalError(
                    f"back-up is of VAN {authority.van_id}, but this site belongs to VAN "
                    f"{ours.van_id}, which has other sites: restore at a site of that VAN, or at a "
                    "new one, made with 'van init'"
                )
        elif self._trust.is_replaced(authority.roots):
            raise LocalError(
                "back-up is of a root that was replaced since: take one that was made after that"
            )
        elif ours.authority is not None and ours.authority.is_root:
            raise AlreadyExists(
                f"site {ours.site!r} holds the root of VAN {ours.van_id} already: there is nothing "
                "to restore"
            )


def _kind(authority: HeldAuthority) -> str:
    if not authority.site:
        return "root"
    return "granted" if authority.is_granted else "intermediate"


def _describe(
    authority: HeldAuthority, holder: str, sites: int, *, is_reachable: bool
) -> AuthorityInfo:
    return AuthorityInfo(
        site=holder,
        kind=_kind(authority),
        key=authority.key,
        expires_at=authority.not_after,
        is_reachable=is_reachable,
        issued_by=authority.issuer,
        sites=sites,
        can_invite=authority.grants.can_invite,
        allow_expose=authority.grants.allow_expose,
        allow_bind=authority.grants.allow_bind,
    )
