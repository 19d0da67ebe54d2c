"""Whose a name is when somebody asks to be let in under it, and how it is freed for another key."""

from collections.abc import Iterable, Iterator

import attrs

from van.errors import JoinRefused, NotAllowed
from van.router.links.expelling import Expelling
from van.router.links.issuing import Issued
from van.router.links.routes import Routes
from van.router.site.state import SiteState
from van.tls.expulsion import check_may_expel, sign_forgetting
from van.tls.identity import IssuingAuthority, SiteIdentity, read_chain
from van.wire.expulsion import Expulsion


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

    def holders(self, name: str) -> tuple[Holder, ...]:
        """Return whose a name is: more than one where keys are known by it that never met."""
        found: dict[str, Holder] = {}
        for each in self._known(name):
            if each.key not in found and not self.is_given_up(each):
                found[each.key] = each
        return tuple(found.values())

    def is_given_up(self, holder: Holder) -> bool:
        """Tell whether a key was put out by who stands above it, so that its name is free."""
        expulsions = self._trust.expulsions
        if holder.authorities is None:
            return expulsions.is_out(holder.key)
        return expulsions.find_above(holder.key, holder.authorities) is not None

    def _known(self, name: str) -> Iterator[Holder]:
        ours = self._trust.identity
        identity = ours if name == ours.site else self._routes.identity_of(name)
        if identity is not None:
            key = identity.public_key_fingerprint
            yield Holder(name, key, identity.authorities, identity.held_level)
        pin = self._trust.pins.holder(name)
        if pin is not None:
            yield Holder(name, pin.key, pin.authorities, pin.held_level)
        for record in self._ledger.records():
            for site, key in record.used_by:
                if site == name and not record.grants.is_ephemeral:
                    yield Holder(name, key, None)

    def check_key(self, name: str, key: str) -> None:
        """Raise `JoinRefused` for a key that was put out, or given up."""
        if self._trust.expulsions.is_out(key):
            raise JoinRefused(
                f"site {name!r} was expelled or forgotten with the key that it has: make "
                "it anew, with 'van init', and accept a token there"
            )

    def check(self, name: str, key: str) -> None:
        """Raise `JoinRefused` if a site of another key has a name."""
        holders = self.holders(name)
        if holders and holders[0].key != key:
            raise JoinRefused(
                f"site name {name!r} is taken in this VAN: make a site of another name, "
                "with 'van init', and accept the token there; if the key of that name is lost, "
                f"a token made with --for {name} --replaces lets another one have it"
            )

    def former(self, name: str, key: str, *, may_replace: bool) -> tuple[Expulsion, ...]:
        """Return the statements that free a name for a key, none if it is free.

        Raises `JoinRefused` if a site of another key has it and keeps it, or is there with it, and
        `NotAllowed` if this site's authority is not above that one.
        """
        others = [each for each in self.holders(name) if each.key != key]
        if not may_replace or name == self._trust.site:
            self.check(name, key)
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
