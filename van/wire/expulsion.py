"""A statement that a site's key is a member of the VAN no more, signed by an authority.

It is about a key, and thus about one site for good: a site of the same name that is let in later
has another one. With a site that is *expelled* goes every authority that it was given until then,
and all whom those let in; with one that is *forgotten*, as its key is lost, nothing does.
Statements never expire: each site keeps all of them, and neighbours compare what they keep before
anything else.
"""

import hashlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from van.wire.fields import Chain, ShortText, SiteName, UnixTime
from van.wire.framing import Message

SIGNING_CONTEXT: Final = b"van expulsion 1\0"
"""Set before what is signed, so that a signature is good for an expulsion and for nothing else."""
FORGETTING_CONTEXT: Final = b"van forgetting 1\0"
"""Likewise, for the statement that a key is lost."""
ID_SIZE: Final = 16
MAX_EXPULSIONS: Final = 16384
"""Statements that a site keeps; the list of their names then fills a quarter of a megabyte."""

KeyFingerprint = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""SHA-256 of a public key."""
ExpulsionId = Annotated[bytes, Meta(min_length=ID_SIZE, max_length=ID_SIZE)]


class Expulsion(Message, frozen=True, array_like=True):
    """Puts a site out; whether it may is to be checked, as in `van.tls.expulsion`."""

    site: SiteName
    key: KeyFingerprint
    """Of the site's own key."""
    at: UnixTime
    """The signer's wall clock: an authority that the site was given after this is another's."""
    reason: ShortText
    authority: Chain
    """Whose key has signed: an authority's certificate and those above it, without the root; empty
    for the root's own."""
    signature: Annotated[bytes, Meta(max_length=256)]
    is_forgotten: bool = False
    """Whether the key is lost, and nobody is put out with it."""

    @property
    def id(self) -> bytes:
        """Return what stands for this statement where two sites compare what they keep."""
        return hashlib.sha256(self.signed_bytes()).digest()[:ID_SIZE]

    def signed_bytes(self) -> bytes:
        """Return what the signature covers: everything else."""
        fields = (self.site, self.key, self.at, self.reason, self.authority)
        return signed_bytes(*fields, is_forgotten=self.is_forgotten)


def signed_bytes(
    site: str,
    key: bytes,
    at: float,
    reason: str,
    authority: tuple[bytes, ...],
    *,
    is_forgotten: bool = False,
) -> bytes:
    """Return the bytes that an authority signs: the context, then a msgpack array."""
    context = FORGETTING_CONTEXT if is_forgotten else SIGNING_CONTEXT
    return context + msgspec.msgpack.encode((site, key, at, reason, authority))


class ExpulsionsHeld(Message, frozen=True, array_like=True):
    """Names all statements that the sender keeps: its first message on a link after the hello."""

    ids: Annotated[tuple[ExpulsionId, ...], Meta(max_length=MAX_EXPULSIONS)]


class Expulsions(Message, frozen=True, array_like=True):
    """Carries statements that the peer lacks, or that are new."""

    statements: Annotated[tuple[Expulsion, ...], Meta(max_length=1024)]
