"""The requests that put sites out of the VAN, or free their names, and tell who was."""

from van.control.values.expulsions import (
    Expelled,
    ExpelSpec,
    ExpulsionInfo,
    ForgetSpec,
    Forgotten,
)
from van.errors import LocalError, NotAllowed, NotFound
from van.names import check_site_name
from van.router.links.expelling import Expelling
from van.router.links.names import Holder, Names
from van.router.links.routes import Routes
from van.router.site.audit import AuditKind
from van.router.site.state import SiteState
from van.routing.paths.detachment import sites_lost
from van.tls.authority import Authority
from van.tls.expulsion import check_may_expel, sign_expulsion


class ExpulsionRequests:
    """Signs statements by this site's authority."""

    def __init__(self, site: SiteState, routes: Routes, expelling: Expelling, names: Names) -> None:
        self._trust = site.trust
        self._audit = site.audit
        self._names = names
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
        authority = self._authority("expel")
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
            text = f"key {key[:16]}…" + (f": {spec.reason}" if spec.reason else "")
            with self._audit.telling(AuditKind.SITE_EXPELLED, name, text):
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
                is_forgotten=each.expulsion.is_forgotten,
            )
            for each in self._trust.expulsions
            if not each.successor
        )
        return tuple(sorted(found, key=lambda each: (each.at, each.site)))

    async def forget(self, spec: ForgetSpec) -> Forgotten:
        """Free a name whose key is lost, or say what would come of that.

        Raises `LocalError`, `NotAllowed`, `NotFound`, or `StorageError`, and nothing has changed.
        """
        name = check_site_name(spec.site)
        if name == self._trust.site:
            raise LocalError(
                f"site {name!r} can't forget itself: 'van site delete {name}' takes it away, and "
                "another site with an authority can free its name then"
            )
        self._authority("forget")
        holder = self._holder(name, spec.key)
        self._check_away(holder)
        pin = self._trust.pins.get(name)
        outcome = Forgotten(
            site=name,
            key=holder.key,
            is_new=not self._trust.expulsions.is_out(holder.key),
            seen=pin.seen if pin is not None and pin.key == holder.key else None,
        )
        if outcome.is_new:
            statement = self._names.forgetting(holder)
            if not spec.is_trial:
                text = f"key {holder.key[:16]}… is lost"
                with self._audit.telling(AuditKind.SITE_FORGOTTEN, name, text):
                    self._names.free((statement,))
        if not spec.is_trial:
            self._expelling.keep()
        return outcome

    def _check_away(self, holder: Holder) -> None:
        """Raise `LocalError` if a site is there, with its key."""
        if self._names.is_up(holder):
            raise LocalError(
                f"site {holder.site!r} is up, and has its key: 'van site expel {holder.site}' puts "
                "it out; a name is forgotten when its key is lost"
            )

    def _authority(self, verb: str) -> Authority:
        authority = self._trust.credentials.authority
        if authority is None:
            issuers = self._trust.identity.issuers
            where = f"site {issuers[0]!r} or at " if issuers else ""
            raise NotAllowed(
                f"site {self._trust.site!r} holds no authority, and can {verb} nobody: do it at "
                f"{where}the site that made the VAN"
            )
        return authority

    def _key_of(self, name: str, key: str | None, authority: Authority) -> str:
        """Return the key of the site to expel, which this authority may."""
        holder = self._holder(name, key)
        if holder.authorities is not None:
            check_may_expel(authority, name, holder.authorities)
        return holder.key

    def _holder(self, name: str, key: str | None) -> Holder:
        """Return who has a name, or had it until it was put out; raise `NotFound`."""
        holders = self._names.holders(name)
        if key is not None:
            known = (each for each in holders if each.key == key)
            return next(known, Holder(name, key, None))
        if holders:  # of those whom only the ledger knows, the one that came last
            return holders[0] if holders[0].authorities is not None else holders[-1]
        out = [each.expulsion for each in self._trust.expulsions if each.expulsion.site == name]
        if not out:
            raise NotFound(
                f"site {name!r} is not known here: 'van network' shows who is; a site that has "
                "been away for long is meant by its key, with --key"
            )
        return Holder(name, out[-1].key.hex(), None)

    def _invited_by(self, name: str) -> tuple[str, ...]:
        identities = map(self._routes.identity_of, self._routes.fib.routes)
        return tuple(
            sorted(
                each.site
                for each in identities
                if each is not None and each.site != name and name in each.issuers
            )
        )
