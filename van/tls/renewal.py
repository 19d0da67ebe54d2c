"""When a certificate is renewed, which authorities may be asked, and what of an answer is taken."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import attrs

from van.errors import CertificateError
from van.tls.authority import Authority
from van.tls.credentials import Credentials
from van.tls.grants import FULL
from van.tls.identity import SiteIdentity, verify_chain

RENEW_AT: Final = 2 / 3
"""Part of its life after which a certificate is renewed: the last third is for retries."""


def renewal_time(identity: SiteIdentity) -> datetime:
    """Return when a site's certificate has lived for so long that another is wanted."""
    return identity.issued_at + (identity.not_after - identity.issued_at) * RENEW_AT


@attrs.frozen
class AuthorityHolder:
    """A site that says to hold an authority."""

    identity: SiteIdentity
    level: int
    """How far that is below the root; 0 for the root itself."""
    is_second: bool = False
    """Whether the root has granted it, as second to itself."""

    def might_renew(self, ours: SiteIdentity) -> bool:
        """Tell whether what it would answer another site can be what that takes."""
        grants = FULL if self.level == 0 else self.identity.grants
        return (
            self.level <= ours.depth
            and grants.may_grant(ours.grants)
            and grants.may_give_name(ours.site)
        )


def authorities_for(
    ours: SiteIdentity, holders: Iterable[AuthorityHolder]
) -> list[AuthorityHolder]:
    """Return who of some sites might renew a site's certificate, those first that should.

    That is who issued the present one, and those above, for what is issued elsewhere does not go
    with who let the site in, when that is expelled. Then come those that are nearest to the root.
    """
    above = ours.issuers

    def order(holder: AuthorityHolder) -> tuple[int, int, bool, str]:
        site = holder.identity.site
        place = above.index(site) if site in above else len(above)
        return place, holder.level, holder.is_second, site

    return sorted((each for each in holders if each.might_renew(ours)), key=order)


def take_renewed(
    ours: Credentials,
    chain: tuple[bytes, ...],
    ca_chain: tuple[bytes, ...],
    *,
    at: datetime,
    is_return: bool = False,
) -> Credentials:
    """Return the same site with renewed certificates, if they are what was asked for.

    That is: the same name, key, grants, and first issue; valid now, and for longer than the present
    ones; and no deeper below the root. A site that returns, whose own have run out, takes those of
    its neighbour's authority though they are deeper, or from later. Raises `CertificateError` for
    anything else, which would be worth less than what there is, or more than anybody meant to give.
    """
    renewed = ours.with_chain(chain, ca_chain=ca_chain)
    if renewed.identity.depth > ours.identity.depth and not is_return:
        raise CertificateError("the certificate is further below the root than the present one")
    if renewed.identity.grants != ours.identity.grants:
        raise CertificateError("the certificate grants something else than the present one")
    is_later = renewed.identity.first_issued > ours.identity.first_issued
    if renewed.identity.first_issued != ours.identity.first_issued and not (is_later and is_return):
        raise CertificateError("the certificate says another time of its first issue")
    verify_chain(chain, ours.root, at=at)
    if not renewed.identity.roots.starts_with(ours.identity.roots):
        raise CertificateError("the certificate rests on another root than the present one")
    is_rolled = renewed.identity.roots != ours.identity.roots
    if renewed.identity.not_after <= ours.identity.not_after and not is_rolled:
        raise CertificateError("the certificate is valid for no longer than the present one")
    if ours.authority is not None and not ours.authority.is_lasting:
        _check_authority(ours.authority, renewed, at=at, is_return=is_return)
    return renewed


def _check_authority(
    ours: Authority, renewed: Credentials, *, at: datetime, is_return: bool
) -> None:
    theirs = renewed.authority
    if theirs is None or theirs.chain == ours.chain:
        raise CertificateError("this site's authority was not renewed with its certificate")
    if (theirs.site, theirs.grants) != (renewed.site, ours.grants):
        raise CertificateError("the authority is another one than the present one")
    theirs.check_valid(at=at)
    if is_return:
        return
    if theirs.level > ours.level:
        raise CertificateError("the authority is further below the root than the present one")
    if theirs.first_issued > ours.first_issued:
        raise CertificateError("the authority says a later time of its first issue")
    if theirs.not_after < ours.not_after and theirs.roots == ours.roots:
        raise CertificateError("the authority is valid for less long than the present one")
