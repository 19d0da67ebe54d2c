"""The requests that put sites out of the VAN, and tell who was."""

from van.control.values.expulsions import Expelled, ExpelSpec, ExpulsionInfo
from van.errors import LocalError, NotAllowed, NotFound
from van.names import check_site_name
from van.router.links.expelling import Expelling
from van.router.links.routes import Routes
from van.router.site.state import SiteState
from van.routing.paths.detachment import sites_lost
from van.tls.authority import Authority
from van.tls.expulsion import check_may_expel, sign_expulsion


class ExpulsionRequests:
    """Signs statements by this site's authority."""

    def __init__(self, site: SiteState, routes: Routes, expelling: Expelling) -> None:
        self._trust = site.trust
        self._ledger = site.ledger
        self._routes = routes
        self._expelling = expelling

    async def expel(self, spec: ExpelSpec) -> Expelled:
        """Put a site out, or say what would come of that.

        Raises `LocalError`, `NotAllowed`, `NotFound`, or `StorageError`, and nothing has changed.
        """
        name = check_site_name(spec.site)
        if name == self._trust.site:
            raise LocalError(
                f"site {name!r} can't expel itself: 'van site delete {name}' takes it away, and "
                "another site with an authority can expel it"
            )
        authority = self._authority()
        key = self._key_of(name, spec.key, authority)
        is_new = not self._trust.expulsions.is_expelled(key)
        fib = self._routes.fib
        outcome = Expelled(
            site=name,
            key=key,
            is_new=is_new,
            invited=self._invited_by(name) if is_new else (),
            unreachable=tuple(sites_lost(fib.graph(), fib.site, name)) if is_new else (),
        )
        if spec.is_trial:
            return outcome
        if is_new:
            now = self._trust.clock()
            statement = sign_expulsion(authority, site=name, key=key, at=now, reason=spec.reason)
            self._expelling.declare(statement)
        self._expelling.keep()
        return outcome

    async def list(self) -> tuple[ExpulsionInfo, ...]:
        """Return who was put out, the first one first."""
        found = (
            ExpulsionInfo(
                site=each.expulsion.site,
                key=each.expulsion.key.hex(),
                at=each.at,
                by=each.by,
                reason=each.expulsion.reason,
            )
            for each in self._trust.expulsions
        )
        return tuple(sorted(found, key=lambda each: (each.at, each.site)))

    def _authority(self) -> Authority:
        authority = self._trust.credentials.authority
        if authority is None:
            issuers = self._trust.identity.issuers
            where = f"site {issuers[0]!r} or at " if issuers else ""
            raise NotAllowed(
                f"site {self._trust.site!r} holds no authority, and can expel nobody: do it at "
                f"{where}the site that made the VAN"
            )
        return authority

    def _key_of(self, name: str, key: str | None, authority: Authority) -> str:
        """Return the key of the site to expel, which this authority may."""
        identity = self._routes.identity_of(name)
        if identity is not None and key in (None, identity.public_key_fingerprint):
            check_may_expel(authority, identity)
            return identity.public_key_fingerprint
        if key is not None:
            return key
        let_in = [
            each
            for record in self._ledger.records()
            for site, each in record.used_by
            if site == name
        ]
        expelled = [
            each.expulsion.key.hex()
            for each in self._trust.expulsions
            if each.expulsion.site == name
        ]
        known = [each for each in let_in if each not in expelled] or expelled
        if not known:
            raise NotFound(
                f"site {name!r} is not known here: 'van network' shows who is; a site that has "
                "been away for long is expelled by its key, with --key"
            )
        return known[-1]

    def _invited_by(self, name: str) -> tuple[str, ...]:
        identities = map(self._routes.identity_of, self._routes.fib.routes)
        return tuple(
            sorted(
                each.site
                for each in identities
                if each is not None and each.site != name and name in each.issuers
            )
        )
