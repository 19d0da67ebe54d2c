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
from van.tls.expulsion import Verified, check_may_expel, is_above, sign_expulsion
from van.tls.keys import fingerprint


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
        holder = self._to_expel(name, spec.key, authority)
        key, known = holder.key, self._trust.expulsions
        # Another's word may count for less than this one's: it is said again.
        is_new = not known.is_expelled_by(key, fingerprint(authority.key.public_key()))
        fib = self._routes.fib
        may_answer = is_new and _is_equal(authority, holder)
        outcome = Expelled(
            site=name,
            key=key,
            is_new=is_new,
            invited=self._invited_by(name) if is_new else (),
            unreachable=tuple(sites_lost(fib.graph(), fib.site, name)) if is_new else (),
            may_answer=may_answer,
            has_answered=may_answer and self._is_out_by(name),
            readmitted=self._readmitted(name, authority) if is_new else (),
            unheard=self._unheard() if is_new else "",
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

    def _unheard(self) -> str:
        """Return why no other site hears of what is said here; empty where they do."""
        site, excluded = self._trust.site, self._trust.exclusion()
        if excluded:
            return f"this site, {site!r}, is out itself: {excluded}"
        if self._routes.fib.routes.keys() <= {site}:
            return f"this site, {site!r}, has no link, and tells them once it has one"
        return ""

    async def list(self) -> tuple[ExpulsionInfo, ...]:
        """Return who was put out, the first one first; what a newer root has said again is one with
        what it repeats."""
        expulsions = self._trust.expulsions
        repeated = {_said(each) for each in expulsions if expulsions.is_repeated(each)}
        found = (
            ExpulsionInfo(
                site=each.expulsion.site,
                key=each.expulsion.key.hex(),
                at=each.at,
                by=each.by,
                reason=each.expulsion.reason,
                is_forgotten=each.expulsion.is_forgotten,
                state="in force" if _said(each) in repeated else self._state(each),
            )
            for each in expulsions
            if not (each.successor or expulsions.is_repeated(each))
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
            is_new=not self._names.is_given_up(holder),
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

    def _to_expel(self, name: str, key: str | None, authority: Authority) -> Holder:
        """Return the site to expel, which this authority may."""
        holder = self._holder(name, key)
        if holder.authorities is not None:
            level = holder.held_level
            check_may_expel(authority, name, holder.authorities, held_level=level)
        return holder

    def _is_out_by(self, name: str) -> bool:
        """Tell whether this site is out by the word of another."""
        found = self._trust.expulsions.find(self._trust.identity)
        return found is not None and found.by == name

    def _readmitted(self, name: str, authority: Authority) -> tuple[str, ...]:
        """Return who was put out by a site whose authority stands below another one, or further
        from the root, and not by what stands above them: that counts no more."""
        found = set()
        for each in self._trust.expulsions:
            is_said = each.by == name and not each.expulsion.is_forgotten
            if is_said and _is_lower(each, authority) and self._is_by_one_beside(each):
                found.add(each.expulsion.site)
        return tuple(sorted(found))

    def _is_by_one_beside(self, said: Verified) -> bool:
        """Tell whether a statement puts somebody out now, as far as is known, though who signed it
        is not above."""
        if self._trust.expulsions.overruling(said) is not None:
            return False
        site, ours = said.expulsion.site, self._trust.identity
        known = ours if site == ours.site else self._trust.pins.get(site)
        if known is None:
            return True
        is_no_nearer = known.held_level is not None and said.level <= known.held_level
        return is_no_nearer and not said.is_above(known.authorities, None)

    def _state(self, verified: Verified) -> str:
        if verified.expulsion.is_forgotten:
            return "in force"
        if self._trust.expulsions.answer_to(verified) is not None:
            return "mutual"
        return "in force" if self._trust.expulsions.overruling(verified) is None else "overruled"

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


def _said(verified: Verified) -> tuple[bytes, float, bool]:
    """Return what a statement says, whoever says it."""
    what = verified.expulsion
    return what.key, what.at, what.is_forgotten


def _is_equal(authority: Authority, holder: Holder) -> bool:
    """Tell whether a site holds an authority that is as near to the root, and not below."""
    above = holder.authorities
    is_below = above is None or is_above(authority, above)
    return holder.held_level == authority.level and not is_below


def _is_lower(said: Verified, authority: Authority) -> bool:
    """Tell whether who signed a statement stands below an authority, or further from the root."""
    return is_above(authority, said.authorities) or authority.level < said.level
