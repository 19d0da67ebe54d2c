"""Proof that a site holds an authority of the VAN: what it advertises of that, anybody could.

The authority's key signs the key of the site. It is worth something only to who shows that key too,
in TLS, and so it is no secret.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from cryptography import x509

from van.errors import NotAllowed
from van.tls.authority import Authority
from van.tls.expulsion_list import ExpulsionList
from van.tls.forms import load_certificate
from van.tls.identity import AuthorityProof, SiteIdentity, check_validity, read_authority
from van.tls.keys import SIGNATURE, is_signed
from van.tls.subject import key_of

CONTEXT: Final = b"van authority 1\0"
"""Set before what is signed, so that a signature is good for this and for nothing else."""


def prove_authority(authority: Authority, identity: SiteIdentity) -> bytes:
    """Return the proof that a site holds an authority."""
    return authority.key.sign(_signed_bytes(identity), SIGNATURE)


def check_authority(
    identity: SiteIdentity,
    chain: Sequence[bytes],
    proof: bytes,
    root: x509.Certificate,
    expulsions: ExpulsionList,
    *,
    at: datetime,
) -> AuthorityProof:
    """Return what authority a site has proved to hold, by a chain that is valid at a time; raise
    `CertificateError`, or `NotAllowed` for a site that holds none.

    Who the site is has been proved in TLS.
    """
    certificates = [load_certificate(der) for der in chain]
    found = read_authority(certificates, root)
    for each in found.timely:
        check_validity(each, at=at)
    key = key_of(certificates[0] if certificates else root)
    if not is_signed(key, proof, _signed_bytes(identity)):
        raise NotAllowed(f"site {identity.site!r} has not proved that it holds an authority")
    if found.authorities and found.authorities[0].site != identity.site:
        raise NotAllowed(f"the authority shown is not that of site {identity.site!r}")
    is_out = expulsions.find_authority(found.authorities, found.roots) is not None
    if is_out or expulsions.replacement(found.roots) is not None:
        raise NotAllowed(f"the authority of site {identity.site!r} counts no more")
    return found


def _signed_bytes(identity: SiteIdentity) -> bytes:
    fields = (identity.van_id, identity.site, identity.public_key_fingerprint)
    return CONTEXT + msgspec.msgpack.encode(fields)
