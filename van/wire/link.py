"""Messages of `van-link/1`, the long-lived control conversation of two neighbours."""

import enum
from typing import Annotated, Final

from msgspec import Meta

from van.wire.expulsion import Expulsions, ExpulsionsHeld
from van.wire.fields import (
    AUTO_COST,
    Chain,
    Major,
    Minor,
    Seconds,
    ShortText,
    SiteName,
    SoftwareVersion,
    UnixTime,
    Unsigned64,
)
from van.wire.framing import Codec, Message
from van.wire.lsa import MAX_BODY, MAX_LINK_COST, Lsa, LsaKind
from van.wire.policy import Policies

ALPN: Final = "van-link/1"
MAX_MESSAGE: Final = MAX_BODY + 256 * 1024
"""Largest payload on a link: one LSA of the largest size with room for smaller company."""
MAX_DIGEST_ENTRIES: Final = 4096
"""Digest entries in one message; a longer digest travels in several."""
MAX_PROBE_PATH: Final = 64
"""Sites on a probe's path: more than any path worth tracing, and a message of four kilobytes."""
BUCKETS: Final = 64
"""Parts into which a database is cut for comparison: where one site differs, a 64th of the entries
is exchanged, and a summary is half a kilobyte."""
FINGERPRINT_SIZE: Final = 8
"""Bytes of a bucket's fingerprint in a summary."""


class Hello(Message, frozen=True, array_like=True):
    """First message of either side."""

    major: Major
    site: SiteName
    incarnation: Unsigned64
    cost: Annotated[int, Meta(ge=AUTO_COST, le=MAX_LINK_COST)]
    heartbeat_interval: Seconds
    """How often the sender would send heartbeats, in seconds; the dialling side's wish counts."""
    clock: UnixTime = 0.0
    """The sender's wall clock now: clocks that differ are told of."""
    run: Unsigned64 = 0
    """Drawn at the sender's start: two that run have two, though they be copies of one site."""
    started_at: UnixTime = 0.0
    """The sender's wall clock when it started."""
    minor: Minor = 0
    software: SoftwareVersion = ""


class Heartbeat(Message, frozen=True, array_like=True):
    """Proves that the link works; now and then it measures the round trip."""

    sent_at: Seconds = 0.0
    """The sender's monotonic clock if it wants to have that echoed, or 0."""
    echo: Seconds = 0.0
    """The `sent_at` that the peer wants to have echoed, or 0."""
    echo_delay: Seconds = 0.0
    """How long ago that came."""

    @property
    def may_wait(self) -> bool:
        """One that measures nothing is read when the reader's own heartbeat is due."""
        return not (self.sent_at or self.echo)


class DigestEntry(Message, frozen=True, array_like=True):
    """What the sender holds of one origin and kind."""

    origin: SiteName
    kind: LsaKind
    incarnation: Unsigned64
    sequence: Unsigned64


class Summary(Message, frozen=True, array_like=True):
    """Tells what the sender holds by one fingerprint for each bucket, one after the other."""

    fingerprints: Annotated[
        bytes,
        Meta(min_length=BUCKETS * FINGERPRINT_SIZE, max_length=BUCKETS * FINGERPRINT_SIZE),
    ]


class Digest(Message, frozen=True, array_like=True):
    """Names all that the sender holds in some buckets; the last part says so, and absent means not
    held. It answers a `Summary`, with the buckets that differ, or with none."""

    buckets: Annotated[bytes, Meta(max_length=BUCKETS)]
    """One byte for each bucket, the same in every part."""
    entries: Annotated[tuple[DigestEntry, ...], Meta(max_length=MAX_DIGEST_ENTRIES)]
    is_last: bool


class Request(Message, frozen=True, array_like=True):
    """Asks for the named LSAs, of which the peer holds newer ones."""

    entries: Annotated[tuple[DigestEntry, ...], Meta(max_length=MAX_DIGEST_ENTRIES)]


class Advertisements(Message, frozen=True, array_like=True):
    """Carries LSAs, an origin's identity before what it signs."""

    lsas: Annotated[tuple[Lsa, ...], Meta(max_length=1024)]


class Announcement(Message, frozen=True, array_like=True):
    """Names LSAs that the sender holds, to a peer that gets them from others first as a rule."""

    entries: Annotated[tuple[DigestEntry, ...], Meta(max_length=MAX_DIGEST_ENTRIES)]


class FloodMode(Message, frozen=True, array_like=True):
    """Tells the peer whether to send new LSAs to the sender whole, or only to announce them."""

    is_eager: bool


class ChannelRequest(Message, frozen=True, array_like=True):
    """Asks the side that can dial for more channels on which the sender opens flows."""

    count: Annotated[int, Meta(ge=1, le=64)]


class Goodbye(Message, frozen=True, array_like=True):
    """Last message before the sender closes the link on purpose."""

    reason: ShortText
    is_final: bool
    """Whether the link was deleted, so that the peer should not dial again."""


class Ping(Message, frozen=True, array_like=True):
    """Wants a `Pong`, at once."""


class Pong(Message, frozen=True, array_like=True):
    """Proves that the sender runs, and has this link."""


class CopyFound(Message, frozen=True, array_like=True):
    """Tells the peer that another router with its keys wanted a link, and was refused."""

    where: ShortText


class CostChange(Message, frozen=True, array_like=True):
    """Tells the peer the sender's new cost of this link."""

    cost: Annotated[int, Meta(ge=AUTO_COST, le=MAX_LINK_COST)]


class HoldChange(Message, frozen=True, array_like=True):
    """Tells the peer how often heartbeats are to be sent on this link from now on."""

    heartbeat_interval: Seconds


class ProbeOutcome(enum.IntEnum):
    """Why a probe went no further."""

    ARRIVED = 1
    """It is at its destination."""
    EXPIRED = 2
    """Its hop limit was used up."""
    NO_PATH = 3
    """The last site of its path knows none to the destination, or only one that leads back."""


class Probe(Message, frozen=True, array_like=True):
    """Travels as a flow would, and gathers the names of the sites on its way."""

    id: Unsigned64
    path: Annotated[tuple[SiteName, ...], Meta(min_length=1, max_length=MAX_PROBE_PATH)]
    """The sites so far: the origin first, the sender last."""
    destination: SiteName
    hop_limit: Annotated[int, Meta(ge=0, le=255)]
    """Links that it may still cross after this one."""


class ProbeReply(Message, frozen=True, array_like=True):
    """Travels back along the path of a probe, whose last site sends it."""

    id: Unsigned64
    path: Annotated[tuple[SiteName, ...], Meta(min_length=2, max_length=MAX_PROBE_PATH)]
    outcome: Annotated[int, Meta(ge=0, le=255)]
    """A `ProbeOutcome`, or a number that a later revision adds."""


class AuthorityGrant(Message, frozen=True, array_like=True):
    """Travels as a flow would to the site whose key the root has certified as second to it.

    There is no secret in it, and nothing that the site does not verify.
    """

    destination: SiteName
    chain: Chain
    """The authority's certificate, and those above it, without the root."""
    hop_limit: Annotated[int, Meta(ge=0, le=255)]
    """Links that it may still cross after this one."""


CODEC: Final = Codec(
    {
        1: Hello,
        2: Heartbeat,
        3: Digest,
        4: Request,
        5: Advertisements,
        6: ChannelRequest,
        9: Goodbye,
        10: CostChange,
        11: Summary,
        12: Announcement,
        13: FloodMode,
        14: Probe,
        15: ProbeReply,
        16: HoldChange,
        17: Ping,
        18: Pong,
        19: CopyFound,
        20: ExpulsionsHeld,
        21: Expulsions,
        22: AuthorityGrant,
        23: Policies,
    }
)

RoutingMessage = Heartbeat | Summary | Digest | Request | Advertisements | Announcement | FloodMode
"""What the routing engine consumes and produces."""
