"""A statement of what a VAN as a whole allows, signed by an authority.

Each authority that may has one statement at a time, its latest; of all these, the one of the
highest version is in force. Sites keep them, and neighbours tell each other of them before anything
but who was expelled.
"""

import hashlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from van.policy import MAX_DOCUMENT
from van.wire.fields import Chain, UnixTime, Unsigned64
from van.wire.framing import Message

SIGNING_CONTEXT: Final = b"van policy 1\0"
"""Set before what is signed, so that a signature is good for a policy and for nothing else."""
MAX_SIGNERS: Final = 16
"""Authorities whose statements are kept: the root's, and those that it has made second to it."""


class PolicyStatement(Message, frozen=True, array_like=True):
    """What is allowed from now on; whether it counts is to be checked, as in `van.tls.policy`."""

    version: Unsigned64
    """Higher than that of any that the signer knew."""
    is_closed: bool
    document: Annotated[str, Meta(max_length=MAX_DOCUMENT)]
    """TOML, as `van.policy.document.read_policy` reads it."""
    at: UnixTime
    """The signer's wall clock."""
    authority: Chain
    """Whose key has signed: an authority's certificate, without the root; empty for the root."""
    signature: Annotated[bytes, Meta(max_length=256)]

    @property
    def id(self) -> bytes:
        """Return what decides between two that are alike in all else."""
        return hashlib.sha256(self.signed_bytes()).digest()

    def signed_bytes(self) -> bytes:
        """Return what the signature covers: everything else."""
        return signed_bytes(self.version, self.is_closed, self.document, self.at, self.authority)


def signed_bytes(
    version: int,
    is_closed: bool,  # noqa: FBT001  # in the order of the fields
    document: str,
    at: float,
    authority: tuple[bytes, ...],
) -> bytes:
    """Return the bytes that an authority signs: the context, then a msgpack array."""
    fields = (version, is_closed, document, at, authority)
    return SIGNING_CONTEXT + msgspec.msgpack.encode(fields)


class Policies(Message, frozen=True, array_like=True):
    """Carries statements that the sender keeps, or that are new."""

    statements: Annotated[tuple[PolicyStatement, ...], Meta(max_length=MAX_SIGNERS)]
