"""Messages of `van-join/1`: a token goes in, a certificate comes out.

The joining side authenticates with the token's bootstrap certificate and sends one `JoinRequest`;
the other side answers with `JoinAccepted` or `JoinDeclined`, and the conversation is over. Who has
dialled a site whose certificate has run out says `JoinOffer` first, and the roles are changed. Who
asks an authority elsewhere for a site that returns says `JoinChallenge`, and is sent a request that
is for that one.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from van.wire.fields import (
    Certificate,
    CertificateRequest,
    Chain,
    Major,
    Minor,
    ShortText,
    SiteName,
    UnixTime,
)
from van.wire.framing import Codec, Message
from van.wire.lsa import MAX_LINK_COST

ALPN: Final = "van-join/1"
MAX_MESSAGE: Final = 64 * 1024
EXPORTER_LABEL: Final = b"EXPORTER-van-join"
"""With which both ends take from TLS (RFC 8446, section 7.5) what the proof is bound to."""
PASSED_ON_LABEL: Final = b"EXPORTER-van-join-passed-on"
"""Likewise, of the channel over which a request is passed on to an authority."""
EXPORTED_SIZE: Final = 32
PROOF_CONTEXT: Final = b"van join 1\0"
"""Set before what is signed, so that a signature is good for joining and for nothing else."""
PASSED_ON_CONTEXT: Final = b"van join passed on 1\0"
"""Likewise, where the request is passed on."""


class JoinRequest(Message, frozen=True, array_like=True):
    """Asks to be let in under a name.

    A site that is a member already sends its own chain too, and requests for its own keys; these
    are empty if it wants no more than a link.
    """

    major: Major
    site: SiteName
    request: CertificateRequest
    """A request for the site's certificate, made from a key that never leaves the site."""
    ca_request: CertificateRequest
    """A request for an intermediate CA's certificate, or empty."""
    member_chain: Chain
    proof: Annotated[bytes, Meta(max_length=256)] = b""
    """Signature of `proved_bytes` by the site's key: that of its request, or of its chain."""
    minor: Minor = 0


def proved_bytes(request: JoinRequest, exported: bytes) -> bytes:
    """Return what the proof signs: the request, in the connection that this was exported from."""
    return PROOF_CONTEXT + _fields(request, exported)


def passed_on_bytes(request: JoinRequest, exported: bytes) -> bytes:
    """Return what the proof signs of a request that is passed on to an authority: the request, in
    the channel to it that this was exported from."""
    return PASSED_ON_CONTEXT + _fields(request, exported)


def _fields(request: JoinRequest, exported: bytes) -> bytes:
    fields = (exported, request.site, request.request, request.ca_request, request.member_chain)
    return msgspec.msgpack.encode(fields)


class JoinAccepted(Message, frozen=True, array_like=True):
    """Lets the site in."""

    site: SiteName
    """Name of the site that answers: the new neighbour."""
    root: Certificate
    chain: Chain
    ca_chain: Chain
    cost: Annotated[int, Meta(ge=0, le=MAX_LINK_COST)]
    """The link's; it may be `AUTO_COST`."""
    clock: UnixTime = 0.0
    """The sender's wall clock, by which it has judged the token."""
    note: ShortText = ""
    """What of the token a member did not get, and what that would take."""
    major: Major = 1
    """Of the side that answers; a router of the first revision does not say."""
    minor: Minor = 0
    """The one that both use."""


class JoinDeclined(Message, frozen=True, array_like=True):
    """Keeps the site out, and says why."""

    code: Annotated[str, Meta(max_length=32)]
    reason: ShortText


class JoinOffer(Message, frozen=True, array_like=True):
    """Invites the site that was dialled, whose certificate has run out, to ask for a new one."""

    major: Major
    minor: Minor = 0


class JoinChallenge(Message, frozen=True, array_like=True):
    """Has a site that returns prove its key to an authority elsewhere, to which its request is
    passed on."""

    exported: Annotated[bytes, Meta(min_length=EXPORTED_SIZE, max_length=EXPORTED_SIZE)]
    """What TLS exports in the channel to that authority."""


CODEC: Final = Codec(
    {1: JoinRequest, 2: JoinAccepted, 3: JoinDeclined, 4: JoinOffer, 5: JoinChallenge}
)
