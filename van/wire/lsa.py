"""Link-state advertisements: what each site says of itself, signed, flooded to all.

A site originates three: its *identity* (certificate chain), its *adjacencies*, and its
*addresses*; apart, so that a change of services causes no route computation, and so that a chain
travels once and not with every change. A newer incarnation wins, then a higher sequence number.
"""

import enum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from van.errors import RemoteProtocolError
from van.wire.fields import (
    MAX_UNSIGNED64,
    AddressText,
    Chain,
    Seconds,
    SiteName,
    SoftwareVersion,
    UnixTime,
    Unsigned32,
    Unsigned64,
)
from van.wire.framing import Message

MAX_BODY: Final = 512 * 1024
"""Largest body of an LSA in bytes: some ten thousand addresses of one site."""
MAX_LINK_COST: Final = 65535
SIGNING_CONTEXT: Final = b"van lsa 1\0"
"""Set before what is signed, so that a signature is good for an LSA and for nothing else."""


class LsaKind(enum.IntEnum):
    """What an LSA tells of its origin."""

    IDENTITY = 1
    ADJACENCIES = 2
    ADDRESSES = 3


class LsaVersion(Message, frozen=True, array_like=True, order=True):
    """Orders the LSAs of one origin and kind: by incarnation, then by sequence number."""

    incarnation: Unsigned64
    sequence: Unsigned64

    def __post_init__(self) -> None:
        """Raise `ValueError` for what no peer would decode: it must not be signed either."""
        for number in (self.incarnation, self.sequence):
            if not 0 <= number <= MAX_UNSIGNED64:
                raise ValueError(f"{number} is not valid in a version: use 0 to {MAX_UNSIGNED64}")


class Lsa(Message, frozen=True, array_like=True):
    """One advertisement as it travels; the body is opaque until the signature has been checked."""

    origin: SiteName
    kind: LsaKind
    incarnation: Unsigned64
    sequence: Unsigned64
    lifetime: Seconds
    """Seconds that remain until this LSA dies; lowered by each holder, and thus not signed."""
    body: Annotated[bytes, Meta(max_length=MAX_BODY)]
    signature: Annotated[bytes, Meta(max_length=256)]

    @property
    def version(self) -> LsaVersion:
        """Return what newer and older is decided by."""
        return LsaVersion(self.incarnation, self.sequence)

    def signed_bytes(self) -> bytes:
        """Return what the signature covers: all but the lifetime and the signature itself."""
        return signed_bytes(self.origin, self.kind, self.version, self.body)


def signed_bytes(origin: str, kind: LsaKind, version: LsaVersion, body: bytes) -> bytes:
    """Return the bytes that an origin signs: the context, then a msgpack array."""
    fields = (origin, int(kind), version.incarnation, version.sequence, body)
    return SIGNING_CONTEXT + msgspec.msgpack.encode(fields)


class IdentityBody(Message, frozen=True, array_like=True):
    """Proves who the origin is: its certificate, and the intermediates up to the root."""

    chain: Chain
    run: Unsigned64 = 0
    """Drawn at the origin's start: two that run at a time, with copies of one key, have two."""
    started_at: UnixTime = 0.0
    """The origin's wall clock when it started."""
    authority: Chain | None = None
    """The authority that the origin holds, if any: its certificate and those above it, without the
    root; empty for the root."""
    has_left: bool = False
    """Whether the origin says goodbye for good: its name is free."""
    software: SoftwareVersion = ""


class Adjacency(Message, frozen=True, array_like=True):
    """One neighbour of the origin."""

    neighbor: SiteName
    cost: Annotated[int, Meta(ge=1, le=MAX_LINK_COST)]
    round_trip: Unsigned32
    """Measured round trip in microseconds; 0 while unknown."""


class AdjacenciesBody(Message, frozen=True, array_like=True):
    """All neighbours of the origin whose links are up."""

    adjacencies: tuple[Adjacency, ...]
    is_transit: bool = True
    """Whether others may send traffic through the origin that is not for it."""


class Distribution(enum.IntEnum):
    """Who of those that serve an address gets what is sent to it."""

    BALANCED = 1
    """The one that will serve it soonest."""
    CLOSEST = 2
    """The one to which the path costs least."""
    MULTICAST = 3
    """All of them, each a copy."""


DEFAULT_WEIGHT: Final = 1
MAX_WEIGHT: Final = 1000
DEFAULT_PRECEDENCE: Final = 100
MAX_PRECEDENCE: Final = 255


MAX_ALLOWED: Final = 512
"""Words for sites of all the lists that the targets of one address have at one site."""
SourceText = Annotated[str, Meta(max_length=68, pattern=r"\A(tag:)?[a-z0-9-]{0,63}\*?\Z")]
"""A word for sites, as `van.policy.check_source` reads it."""


class Service(Message, frozen=True, array_like=True):
    """An address that the origin serves, and on which terms."""

    address: AddressText
    protocol: Annotated[str, Meta(max_length=16)]
    distribution: Annotated[int, Meta(ge=0, le=255)] = int(Distribution.BALANCED)
    """A `Distribution`; one that is not known counts as balanced."""
    weight: Annotated[int, Meta(ge=1, le=MAX_WEIGHT)] = DEFAULT_WEIGHT
    precedence: Annotated[int, Meta(ge=0, le=MAX_PRECEDENCE)] = DEFAULT_PRECEDENCE
    """Of the origin's best targets; a site of a lower one is used when no other is left."""
    since: Unsigned64 = 0
    """Unix time of the oldest target here: where sites disagree, the oldest one's distribution
    counts."""
    allow_from: Annotated[tuple[SourceText, ...], Meta(max_length=MAX_ALLOWED)] = ()
    """Sites that its targets here are for."""
    is_limited: bool = False
    """Whether they are for these alone; otherwise there is one for all that may reach the
    address."""


class Binding(Message, frozen=True, array_like=True):
    """An address that can be reached from the origin by a port there."""

    address: AddressText
    protocol: Annotated[str, Meta(max_length=16)]


class AddressesBody(Message, frozen=True, array_like=True):
    """What the origin serves, and what can be reached from it."""

    services: tuple[Service, ...]
    listeners: tuple[Binding, ...]


Body = IdentityBody | AdjacenciesBody | AddressesBody

_DECODERS: Final[dict[LsaKind, msgspec.msgpack.Decoder[Any]]] = {
    LsaKind.IDENTITY: msgspec.msgpack.Decoder(IdentityBody),
    LsaKind.ADJACENCIES: msgspec.msgpack.Decoder(AdjacenciesBody),
    LsaKind.ADDRESSES: msgspec.msgpack.Decoder(AddressesBody),
}


def encode_body(body: Body) -> bytes:
    """Encode a body for `Lsa.body`."""
    return msgspec.msgpack.encode(body)


def decode_body(kind: LsaKind, payload: bytes) -> Body:
    """Decode a body whose signature has been checked, or raise `RemoteProtocolError`."""
    try:
        body: Body = _DECODERS[kind].decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        raise RemoteProtocolError(f"malformed {kind.name.lower()} advertisement: {exc}") from exc
    return body
