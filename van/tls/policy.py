"""Whose word counts on what a VAN allows: that of its root, and of authorities second to it.

Each has one statement, its latest. The one of the highest version is in force, among those whose
signers are members; so an authority that has said too much is expelled, and its word is gone.
"""

import logging
from collections.abc import Iterator
from typing import Final

import attrs
from cryptography import x509

from van.errors import CertificateError, ConfigError, LocalError, NotAllowed
from van.policy import UNREADABLE, Policy
from van.policy.document import read_policy
from van.tls.authority import Authority
from van.tls.expulsion_list import ExpulsionList
from van.tls.forms import load_certificate
from van.tls.identity import IssuingAuthority, read_authority
from van.tls.keys import SIGNATURE, fingerprint, is_signed
from van.tls.roots import Roots
from van.tls.subject import key_of
from van.wire.fields import MAX_UNSIGNED64
from van.wire.policy import MAX_SIGNERS, PolicyStatement, signed_bytes

logger = logging.getLogger(__name__)

NOT_SECOND: Final = "only the root, and an authority second to it, says what the VAN allows"


@attrs.frozen
class VerifiedPolicy:
    """A statement whose signature is that of an authority which may make one."""

    statement: PolicyStatement
    signer: str
    """Fingerprint of the key that signed."""
    authority: IssuingAuthority | None
    """That of the signer; None for the root."""
    policy: Policy
    roots: Roots
    """The VAN's roots to the one that signed, or that the signer rests on."""

    @property
    def by(self) -> str:
        """Return whose authority has signed; empty for the root."""
        return self.authority.site if self.authority else ""

    @property
    def rank(self) -> tuple[int, bool, float, bytes]:
        """Return what the one in force is the highest by: of equal versions, the root's."""
        what = self.statement
        return what.version, self.authority is None, what.at, what.id


def check_may_sign(authority: Authority | None) -> Authority:
    """Return an authority that may say what the VAN allows; raise `NotAllowed` for another."""
    if authority is None or not _may_sign(authority.chain, authority.root):
        raise NotAllowed(
            f"{NOT_SECOND}: do it at the site that made the VAN ('van authority show' names it)"
        )
    return authority


def sign_policy(
    authority: Authority, *, version: int, is_closed: bool, document: str, at: float
) -> PolicyStatement:
    """Return a statement by an authority."""
    subject = (version, is_closed, document, at, authority.chain)
    return PolicyStatement(*subject, authority.key.sign(signed_bytes(*subject), SIGNATURE))


class PolicyBook:
    """All statements that a site knows, of one VAN: the latest of each authority."""

    def __init__(self, root: x509.Certificate) -> None:
        self._root = root
        self._latest: dict[str, VerifiedPolicy] = {}

    def __iter__(self) -> Iterator[VerifiedPolicy]:
        return iter(self._latest.values())

    def examine(self, statement: PolicyStatement) -> VerifiedPolicy | None:
        """Return a statement that is newer than what is known of its signer, or None.

        Raises `CertificateError` if no authority that may has signed it.
        """
        certificates = [load_certificate(der) for der in statement.authority]
        proof = read_authority(certificates, self._root)
        if not _may_sign(statement.authority, self._root):
            raise CertificateError(f"{NOT_SECOND}, and another has signed a policy")
        key = key_of(certificates[0] if certificates else self._root)
        signer = fingerprint(key)
        known = self._latest.get(signer)
        if known is not None and known.statement == statement:
            return None
        if not is_signed(key, statement.signature, statement.signed_bytes()):
            raise CertificateError("a policy is not genuine: its signature does not hold")
        if known is None and len(self._latest) >= MAX_SIGNERS:
            return None
        authority = proof.authorities[0] if proof.authorities else None
        verified = VerifiedPolicy(statement, signer, authority, _read(statement), proof.roots)
        return verified if known is None or verified.rank > known.rank else None

    def put(self, verified: VerifiedPolicy) -> None:
        """Take in a statement that was examined."""
        self._latest[verified.signer] = verified

    def in_force(self, expulsions: ExpulsionList) -> VerifiedPolicy | None:
        """Return the statement that counts, or None where none was made by a member."""
        found = (
            each
            for each in self._latest.values()
            if expulsions.replacement(each.roots) is None
            if each.authority is None
            or not expulsions.find_authority((each.authority,), each.roots)
        )
        return max(found, key=lambda each: each.rank, default=None)

    def next_version(self, expulsions: ExpulsionList) -> int:
        """Return the version of a statement that is to be in force instead of the present one.

        Raises `LocalError` where an authority has left none: who holds the root expels it.
        """
        present = self.in_force(expulsions)
        version = present.statement.version if present else 0
        if version >= MAX_UNSIGNED64 and present is not None and present.authority is not None:
            raise LocalError(
                f"site {present.by!r} has given its policy the last number there is: say it where "
                "the root is, or expel that site"
            )
        return min(version + 1, MAX_UNSIGNED64)


def _may_sign(chain: tuple[bytes, ...], root: x509.Certificate) -> bool:
    proof = read_authority([load_certificate(der) for der in chain], root)
    return not proof.authorities or (
        len(proof.authorities) == 1 and proof.authorities[0].is_granted
    )


def _read(statement: PolicyStatement) -> Policy:
    try:
        return read_policy(statement.document, is_closed=statement.is_closed)
    except ConfigError as exc:
        # A later version may say what this one has no word for. It could be a limit.
        logger.warning("the policy of the VAN can't be read, and nothing is allowed: %s", exc)
        return UNREADABLE
