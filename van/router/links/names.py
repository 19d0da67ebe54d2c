"""Whose a name is when somebody asks to be let in under it, and how it is freed for another key."""

from collections.abc import Iterable, Iterator
from typing import Final

import attrs
import trio

from van.errors import JoinRefused, NotAllowed
from van.router.links.absences import Absences
from van.router.links.expelling import Expelling
from van.router.links.issuing import Issued
from van.router.links.routes import Routes
from van.router.site.state import SiteState
from van.tls.expulsion import check_may_expel, sign_forgetting
from van.tls.identity import IssuingAuthority, SiteIdentity, read_chain
from van.wire.expulsion import Expulsion

VANISHED: Final = 60.0
"""Seconds after which an ephemeral site that can't be reached has left its name, though it has not
said goodbye."""


@attrs.frozen
class Holder:
    """A key that has a name, as far as it is known here."""

    site: str
    key: str
    authorities: tuple[IssuingAuthority, ...] | None
    """What its certificate rests on; None for one that only the ledger knows of."""
    held_level: int | None = None
    """How far below the root the authority is that it holds; None if it holds none there."""


class Names:
    """Knows who has which name: from advertisements, from before, and from this site's ledger."""

    def __init__(self, site: SiteState, routes: Routes, expelling: Expelling) -> None:
        self._trust = site.trust
        self._ledger = site.ledger
        self._routes = routes
        self._expelling = expelling
        self._absences = Absences(routes, trio.current_time)

    def holders(self, name: str, *, for_ephemeral: bool = False) -> tuple[Holder, ...]:
        """Return whose a name is: more than one where keys are known by it that never met.

        For a site that is ephemeral, those of such sites are left out that have vanished.
        """
        found: dict[str, Holder] = {}
        for each in self._known(name, for_ephemeral=for_ephemeral):
            if each.key not in found and not self.is_given_up(each):
                found[each.key] = each
        return tuple(found.values())

    def is_given_up(self, holder: Holder) -> bool:
        """Tell whether a key was put out by who stands above it, so that its name is free."""
        expulsions = self._trust.expulsions
        if holder.authorities is None:
            return expulsions.is_out(holder.key)
        return expulsions.find_above(holder.key, holder.authorities) is not None

    def _known(self, name: str, *, for_ephemeral: bool) -> Iterator[Holder]:
        ours = self._trust.identity
        identity = ours if name == ours.site else self._routes.identity_of(name)
        if identity is not None and not (for_ephemeral and self._has_vanished(identity)):
            key = identity.public_key_fingerprint
            yield Holder(name, key, identity.authorities, identity.held_level)
        pin = self._trust.pins.holder(name)
        if pin is not None:
            yield Holder(name, pin.key, pin.authorities, pin.held_level)
        for record in self._ledger.records():
            for site, key in record.used_by:
                if site == name and not record.grants.is_ephemeral:
                    yield Holder(name, key, None)

    def _has_vanished(self, identity: SiteIdentity) -> bool:
        """Tell whether an ephemeral site is gone without a goodbye, so that its name can be given
        to another ephemeral one. Should it only be parted from here, it has the better claim when
        it is back: so nobody gives it away who is nearer to the root than who let it in, nor to a
        site for which the name would be remembered.
        """
        authority = self._trust.credentials.authority
        if authority is None or not identity.grants.is_ephemeral:
            return False
        if authority.level < identity.depth:
            return False
        return self._absences.lasts(identity.site) >= VANISHED

    def check_key(self, name: str, key: str) -> None:
        """Raise `JoinRefused` for a key that was put out, or given up."""
        if self._trust.expulsions.is_out(key):
            raise JoinRefused(
                f"site {name!r} was expelled or forgotten with the key that it has: make "
                "it anew, with 'van init', and accept a token there"
            )

    def check(self, name: str, key: str, *, for_ephemeral: bool = False) -> None:
        """Raise `JoinRefused` if a site of another key has a name; as `holders`."""
        holders = self.holders(name, for_ephemeral=for_ephemeral)
        if holders and holders[0].key != key:
            raise JoinRefused(
                f"site name {name!r} is taken in this VAN: make a site of another name, "
                "with 'van init', and accept the token there; if the key of that name is lost, "
                f"a token made with --for {name} --replaces lets another one have it"
            )

    def former(
        self, name: str, key: str, *, may_replace: bool, for_ephemeral: bool = False
    ) -> tuple[Expulsion, ...]:
        """Return the statements that free a name for a key, none if it is free.

        Raises `JoinRefused` if a site of another key has it and keeps it, or is there with it, and
        `NotAllowed` if this site's authority is not above that one.
        """
        others = [each for each in self.holders(name) if each.key != key]
        if not may_replace or name == self._trust.site:
            self.check(name, key, for_ephemeral=for_ephemeral)
            return ()
        statements = tuple(self.forgetting(each) for each in others)
        if any(map(self.is_up, others)):
            raise JoinRefused(
                f"site {name!r} is up, and has its key: a token takes a name from a key that is "
                f"lost; 'van site expel {name}' puts out who has one that is in wrong hands"
            )
        return statements

    def is_up(self, holder: Holder) -> bool:
        """Tell whether a site is there, with its key."""
        identity = self._routes.identity_of(holder.site)
        is_known = identity is not None and identity.public_key_fingerprint == holder.key
        return is_known and holder.site in self._routes.fib.routes

    def forgetting(self, holder: Holder) -> Expulsion:
        """Return the statement that a key is lost; raise `NotAllowed` if that is not for this site
        to say."""
        authority = self._trust.credentials.authority
        if authority is None:
            raise NotAllowed(
                f"site {self._trust.site!r} holds no authority, and can free no name: do it at the "
                "site that made the VAN"
            )
        if holder.authorities is not None:
            check_may_expel(authority, holder.site, holder.authorities, verb="free the name of")
        now = self._trust.clock()
        return sign_forgetting(authority, site=holder.site, key=holder.key, at=now)

    def free(self, statements: Iterable[Expulsion]) -> None:
        """Put keys out by such statements; raise `StorageError` or `LocalError`."""
        for each in statements:
            self._expelling.declare(each)

    def give(self, issued: Issued) -> None:
        """Remember whose a name is by a certificate that was issued here."""
        if issued.chain:
            identity = read_chain(issued.chain, self._trust.credentials.root)
            assert isinstance(identity, SiteIdentity)
            self._trust.saw(identity)
