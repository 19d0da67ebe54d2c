"""All that was said of who is out of the VAN, and what follows from it for a certificate.

What follows depends on the statements alone, not on the order in which they came, so that all sites
which have the same ones come to the same end. That is judged when a certificate is shown, by what
stands in it. There are two ways to be out:

* who has signed stands *above*: it is the root, or an authority that the certificate rests on;
* who has signed stands *beside*: it is an authority, and what is put out is one too, which is no
  nearer to the root. Two that say so of each other are both out. What an authority has said in this
  way counts no more once it was put out itself by one that is nearer to the root: so the nearer one
  wins, and can undo what one of those further below has done.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from cryptography import x509

from van.errors import Expelled, RootReplaced
from van.tls.expulsion import Verified, level_of, verify_expulsion
from van.tls.expulsion_quota import ExpulsionQuota
from van.tls.identity import IssuingAuthority, SiteIdentity
from van.tls.roots import Roots
from van.wire.expulsion import Expulsion


class ExpulsionList:
    """All statements that a site knows, of one VAN; it only grows."""

    def __init__(self, root: x509.Certificate) -> None:
        self._root = root
        self._replaced: dict[str, Verified] = {}
        """By the key of a root that is out."""
        self._by_id: dict[bytes, Verified] = {}
        self._by_key: dict[str, list[Verified]] = {}
        self._by_site: dict[str, list[Verified]] = {}
        self._quota = ExpulsionQuota()
        self._overruled: dict[tuple[bytes, ...], Verified | None] = {}
        """By the chain of who has signed: found out once for each, until there is more to know."""
        self._both_out: tuple[tuple[str, str], ...] | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Verified]:
        return iter(self._by_id.values())

    def ids(self) -> tuple[bytes, ...]:
        """Return what stands for each."""
        return tuple(self._by_id)

    def but(self, ids: Iterable[bytes]) -> list[Expulsion]:
        """Return those that are not named."""
        named = set(ids)
        return [each.expulsion for id_, each in self._by_id.items() if id_ not in named]

    # -- taking in ---------------------------------------------------------------------------

    def add(self, expulsion: Expulsion) -> Verified | None:
        """Take in a statement; return None if it is known, or one too many.

        Raises `CertificateError` if no authority of this VAN has signed it.
        """
        verified = self.examine(expulsion)
        if verified is not None:
            self.put(verified)
        return verified

    def examine(self, expulsion: Expulsion) -> Verified | None:
        """Return what `add` does, and take in nothing."""
        if expulsion.id in self._by_id:
            return None
        verified = verify_expulsion(expulsion, self._root)
        if self.replacement(verified.roots) is not None:
            return None  # who stole that root may write any date
        return verified if self._quota.has_room(verified) else None

    def put(self, verified: Verified) -> None:
        """Take in a statement that was examined."""
        expulsion = verified.expulsion
        self._quota.count(verified)
        self._by_id[expulsion.id] = verified
        self._overruled.clear()
        self._both_out = None
        if verified.successor:
            self._replaced[expulsion.key.hex()] = verified
            return
        self._by_key.setdefault(expulsion.key.hex(), []).append(verified)
        if not expulsion.is_forgotten:
            self._by_site.setdefault(expulsion.site, []).append(verified)

    # -- who is out --------------------------------------------------------------------------

    def find(self, identity: SiteIdentity) -> Verified | None:
        """Return the statement by which a site is out, or None while it is a member.

        That is so by its own key, or by an authority that its certificate rests on.
        """
        if not self._by_id:
            return None
        key, roots = identity.public_key_fingerprint, identity.roots
        found = self.find_above(key, identity.authorities, roots)
        if found is None and (level := identity.held_level) is not None:
            said = self._by_key.get(key, ())
            found = self._find_beside(said, level, identity.issued_at, roots)
        return found or self._find_authority(identity.authorities, roots)

    def find_authority(
        self, authorities: Sequence[IssuingAuthority], roots: Roots
    ) -> Verified | None:
        """Return the statement by which the first of authorities is out, each of which rests on the
        next, or None while it counts, as the root always does."""
        if not authorities:
            return None
        found = self.find_above(authorities[0].key, authorities, roots)
        return found or self._find_authority(authorities, roots)

    def find_above(
        self, key: str, authorities: Sequence[IssuingAuthority], roots: Roots | None = None
    ) -> Verified | None:
        """Return what `find` does, of what was said by who stands above alone: that frees a name.

        It is for a site of a key whose certificate rests on authorities, the nearest first, and on
        the last of roots, if they are known.
        """
        for each in self._by_key.get(key, ()):
            is_own = each.signer == key  # one that is second to the root rests on itself
            if each.is_above(authorities, roots) and not is_own:
                return each
        for depth, authority in enumerate(authorities, 1):
            for each in self._by_site.get(authority.site, ()):
                if authority.issued_at <= each.at and each.is_above(authorities[depth:], roots):
                    return each
        return None

    def _find_authority(
        self, authorities: Sequence[IssuingAuthority], roots: Roots
    ) -> Verified | None:
        """Return by what of those beside them an authority is out, or one that it rests on."""
        for depth, authority in enumerate(authorities):
            level, since = level_of(authorities[depth:]), authority.issued_at
            said = (each for each in self._by_site.get(authority.site, ()) if since <= each.at)
            if (found := self._find_beside(said, level, since, roots)) is not None:
                return found
        return None

    def _find_beside(
        self, said: Iterable[Verified], level: int, since: datetime, roots: Roots
    ) -> Verified | None:
        """Return the first statement by who stands beside an authority of a level, or nearer to the
        root, that counts against a certificate which was issued at a time."""
        return next((each for each in said if self._counts_beside(each, level, since, roots)), None)

    def _counts_beside(self, each: Verified, level: int, since: datetime, roots: Roots) -> bool:
        what = each.expulsion
        return (
            each.by not in ("", what.site)
            and not what.is_forgotten
            and each.level <= level
            # Or a key that was thrown away with its disk, years ago, could put out everybody.
            and since <= each.not_after
            and each.roots.agrees_with(roots)
            and self.overruling(each) is None
        )

    def overruling(self, verified: Verified) -> Verified | None:
        """Return the statement by which an authority is out that has signed another one, if that is
        by one nearer to the root: whom it had put out beside itself is a member again."""
        if not verified.authorities:
            return None
        chain = verified.expulsion.authority
        if chain not in self._overruled:
            self._overruled[chain] = self._find_nearer(verified)
        return self._overruled[chain]

    def _find_nearer(self, signer: Verified) -> Verified | None:
        # Each step leads to an authority that is nearer to the root: so it comes to an end.
        if (replacement := self.replacement(signer.roots)) is not None:
            return replacement
        for depth, authority in enumerate(signer.authorities):
            level, since = level_of(signer.authorities[depth:]), authority.issued_at
            for each in self._by_site.get(authority.site, ()):
                if each.at < since:
                    continue
                if each.is_above(signer.authorities[depth + 1 :], signer.roots):
                    return each
                is_nearer = each.level < signer.level
                if is_nearer and self._counts_beside(each, level, since, signer.roots):
                    return each
        return None

    def answer_to(self, verified: Verified) -> Verified | None:
        """Return the statement by which two authorities are both out, as each has put out the
        other, and neither is nearer to the root."""
        if not verified.authorities or self.overruling(verified) is not None:
            return None
        own = verified.authorities[0]
        for each in self._by_site.get(own.site, ()):
            is_answer = each.by == verified.expulsion.site
            since, roots = own.issued_at, verified.roots
            if is_answer and self._counts_beside(each, verified.level, since, roots):
                return each
        return None

    def both_out(self) -> tuple[tuple[str, str], ...]:
        """Return the sites that have expelled each other, so that both are out."""
        if self._both_out is None:
            sites = ((each.by, each.expulsion.site) for each in self if self.answer_to(each))
            self._both_out = tuple(sorted({(min(pair), max(pair)) for pair in sites}))
        return self._both_out

    def describe(self, verified: Verified) -> str:
        """Return what a statement says, and what became of it, for people."""
        said = verified.describe()
        if verified.successor or verified.expulsion.is_forgotten:
            return said
        if (answer := self.answer_to(verified)) is not None:
            return f"{said}; {described_as_both(verified.expulsion.site, answer.expulsion.site)}"
        if (nearer := self.overruling(verified)) is not None:
            return f"{said}; that counts for those below it alone, since {nearer.describe()}"
        return said

    def is_repeated(self, verified: Verified) -> bool:
        """Tell whether a newer root has only said again what is known from before it."""
        what = verified.expulsion
        return not verified.by and any(
            each.expulsion.at == what.at
            and each.expulsion.is_forgotten == what.is_forgotten
            and len(each.roots) < len(verified.roots)
            for each in self._by_key.get(what.key.hex(), ())
        )

    # -- roots -------------------------------------------------------------------------------

    def replacement(self, roots: Roots) -> Verified | None:
        """Return the statement by which what rests on the last of these roots counts no more."""
        for root in roots.keys:
            found = self._replaced.get(root)
            if found is not None and roots.successor_of(root) != found.successor:
                return found
        return None

    # -- questions about a site, and about a key ---------------------------------------------

    def check(self, identity: SiteIdentity) -> None:
        """Raise `Expelled` unless a site is a member, or `RootReplaced` if it was one by the word
        of a root that counts no more."""
        if (replacement := self.replacement(identity.roots)) is not None:
            replaced = RootReplaced(
                f"the certificate of site {identity.site!r} counts no more, as "
                f"{replacement.describe()}: accept a new token there"
            )
            replaced.site = identity.site
            raise replaced
        if (found := self.find(identity)) is not None:
            error = Expelled(self.describe(found))
            error.site = identity.site
            raise error

    def is_out(self, key: str) -> bool:
        """Tell whether there is a statement about a key, whoever has signed it."""
        return key in self._by_key

    def is_expelled_by(self, key: str, signer: str) -> bool:
        """Tell whether a key was expelled by the root, or by an authority of another key."""
        return any(
            not each.expulsion.is_forgotten and (not each.by or each.signer == signer)
            for each in self._by_key.get(key, ())
        )


def described_as_both(one: str, other: str) -> str:
    """Return what is to be said of two authorities that have expelled each other."""
    first, second = sorted((one, other))
    return (
        f"sites {first!r} and {second!r} have expelled each other, and both are out, until the "
        "root, or an authority nearer to it, expels the one that is in wrong hands"
    )
