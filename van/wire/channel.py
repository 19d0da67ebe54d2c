"""Frames of `van-channel/1`, which carries flows: one at a time, or many once it is a bundle.

The *ingress* of a channel opens flows on it; which end that is, the first frame says. A flow is
`OPEN` · (`DATA` | `EOF` | `RESET`)* from the ingress and `OPENED` · (`DATA` | `EOF` | `RESET`)* ·
`DONE`, or `REFUSED` alone, from the egress. `DONE` and `REFUSED` make the channel idle again; the
egress skips what an ingress still sent of an ended flow before it knew. An egress that is silent
for some seconds while it owes `OPENED` or `DONE` is taken for lost; one whose target takes its time
says so, with `PENDING`. A flow of UDP has
`DATAGRAM` in the place of `DATA`, one for each datagram, and is ended by the ingress's `EOF`.

Multicast of UDP takes two kinds of flow. A *membership* goes from the source to each site that
serves the address: an `OPEN` with a `Membership`, which hands out the key, and has the replies for
its answer. A *branch* goes from each site of the tree to those behind it: `BRANCH`, the sealed
datagrams, and `EOF`; a `RESET` against the stream says that the tree has lost a branch, and `DONE`
ends it.

`BUNDLE` makes a channel one of many flows at a time, for good (`van.wire.bundle`), and `CARRY`
moves a flow from there to the channel that it comes on.

`RENEW` asks for a certificate, and `READMIT` for another site that returns to the network; both are
answered by `RENEWED`. `TRAIL` hands records of an audit
trail out to be kept, and is answered by `TRAIL_KEPT`. Such a channel is for nothing else.
"""

import enum
from typing import Annotated, Final

from msgspec import Meta

from van.wire.fields import (
    AddressText,
    CertificateRequest,
    Chain,
    Major,
    Minor,
    Seconds,
    ShortText,
    SiteName,
    Unsigned32,
    Unsigned64,
)
from van.wire.framing import HEADER_SIZE, Codec, Message

ALPN: Final = "van-channel/1"
MAX_RECORD: Final = 16384
"""Plaintext of one TLS record (RFC 8446, section 5.1): a frame of this size costs one write."""
MAX_DATA: Final = 4 * MAX_RECORD - HEADER_SIZE
"""Payload of the largest DATA frame that a sender makes: it fills four records to the last byte."""
MAX_DATA_PAYLOAD: Final = 65536
"""Largest payload of a DATA frame that a receiver takes; it is passed on as it arrives."""
MAX_DATAGRAM: Final = 65507
"""Largest datagram: that of UDP over IPv4 (RFC 768, RFC 791: 65,535 less both headers)."""
MAX_DATAGRAM_PAYLOAD: Final = MAX_DATAGRAM + 28
"""Largest payload of a DATAGRAM frame: multicast puts a counter, a session's number, and a tag
around it. It is kept until it is whole."""
MAX_BRANCH_PAYLOAD: Final = 65535
"""Largest payload of a BRANCH frame: some thousands of sites."""
MAX_CONTROL_PAYLOAD: Final = 4096
"""Largest payload of any other frame; it is kept until it is whole."""
MAX_RENEWED_PAYLOAD: Final = 152 * 1024
"""Largest payload of a RENEWED frame: two chains of eight certificates of 8 KiB, and of those of as
many roots as there may be. Nobody takes one that has not asked."""
MAX_TRAIL_PAYLOAD: Final = 65535
"""Largest payload of a TRAIL frame: some hundred records, or the longest chain of authorities."""
MAX_READMIT_PAYLOAD: Final = 65535
"""Largest payload of a READMIT frame: as in a join, where such a chain comes from."""
MAX_TRAIL_LINE: Final = 2048
"""Bytes of one record of an audit trail, as JSON."""
MAX_TRAIL_LINES: Final = 128
MAX_HOPS: Final = 255
"""Highest hop limit of a relay: what its byte holds."""
MAX_RELAY_PATH: Final = 60
"""Sites that are told of a relay's path: more than any worth having passes, and what fits a frame
of `MAX_CONTROL_PAYLOAD`."""


class Kind(enum.IntEnum):
    """Kinds of frames; those from 128 on may be skipped where they are not known."""

    HELLO = 1
    OPEN = 2
    OPENED = 3
    REFUSED = 4
    DATA = 5
    DATAGRAM = 6
    EOF = 7
    RESET = 8
    DONE = 9
    RELAY = 10
    RELAYED = 11
    BRANCH = 12
    PENDING = 13
    BUNDLE = 14
    RENEW = 15
    RENEWED = 16
    TRAIL = 17
    TRAIL_KEPT = 18
    READMIT = 19
    CARRY = 20
    CREDIT = 21
    LEAVE = 22
    MOVED = 23
    BULK = 24
    WIDTH = 25
    REPEAT = 26
    FAREWELL = 128


class Role(enum.IntEnum):
    """Which end opens flows: the one that dialled, or the one that was dialled."""

    DIALER_OPENS = 1
    ACCEPTOR_OPENS = 2


class Reason(enum.IntEnum):
    """Why a flow or relay was refused."""

    NO_SERVICE = 1
    """The egress serves no such address (any more)."""
    TARGET_REFUSED = 2
    """The target did not take the connection."""
    NOT_ALLOWED = 3
    """The ingress's certificate does not allow this address."""
    NO_ROUTE = 4
    """No path from here to the destination of a relay."""
    HOP_LIMIT = 5
    BUSY = 6
    """A limit of the egress or transit has been reached."""
    STOPPING = 7
    SLOW = 8
    """The target has not answered yet: whoever has nobody else may come back, and be patient."""


class Hello(Message, frozen=True, array_like=True):
    """First frame of the side that dialled a channel."""

    major: Major
    role: Role
    minor: Minor = 0
    """In the answer, the one that both use."""


GroupId = Annotated[bytes, Meta(min_length=16, max_length=16)]
"""Names what one source sends to one multicast address; random."""


class Membership(Message, frozen=True, array_like=True):
    """Makes the egress a member of a group; the keys of one group are never used in another."""

    group: GroupId
    generation: Unsigned32
    """Counts the trees of a group: each has a key of its own, known to its members only."""
    key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    idle: Seconds
    """How long a client's session without traffic stays."""


class Open(Message, frozen=True, array_like=True):
    """Opens a flow to an address; data may follow at once."""

    flow: Annotated[str, Meta(max_length=64)]
    """An id for logs and traces, unique at the ingress."""
    protocol: Annotated[str, Meta(max_length=16)]
    address: AddressText
    to_all: bool = False
    """Whether every instance is to get what is sent."""
    wants_answer: bool = True
    """Of what is sent to all, whether the first that answers is heard."""
    membership: Membership | None = None
    is_patient: bool = True
    """Whether the client has nobody else to turn to, so that a target that is slow is waited
    for."""
    client: Annotated[str, Meta(max_length=64)] = ""
    """Where the client's connection comes from, as `HOST:PORT`, for targets that want to know it;
    empty where that is not known. The ingress says so, and nobody has checked it."""
    may_repeat: bool = False
    """Whether the exchange may be repeated where nobody knows if the target has seen it."""


class Vertex(Message, frozen=True, array_like=True):
    """A site of a multicast tree."""

    site: SiteName
    parent: Annotated[int, Meta(ge=0, le=65535)]
    """The place in the tree of the site that sends to this one; it comes before this one."""


class Branch(Message, frozen=True, array_like=True):
    """Asks a site to pass a group's datagrams on to those behind it in a tree."""

    group: GroupId
    generation: Unsigned32
    tree: Annotated[tuple[Vertex, ...], Meta(min_length=1)]
    """The first is the site that is asked."""


BundleId = Annotated[bytes, Meta(min_length=16, max_length=16)]
"""Names a bundle among those that its ingress has with its egress; random."""


class Bundle(Message, frozen=True, array_like=True):
    """Makes a channel a bundle, on which there are other frames from here on."""

    id: BundleId


class Carry(Message, frozen=True, array_like=True):
    """Moves a flow to this channel, which is idle, or back to this bundle: what the ingress says
    next, after MOVED where the flow was, is here, and so is what the egress does after its own
    MOVED. The flow is named by what it was opened on, wherever it is."""

    bundle: BundleId
    number: Unsigned32


class Report(Message, frozen=True, array_like=True):
    """What the egress tells of the target's load."""

    in_flight: Unsigned32
    expected_delay: Seconds
    expected_delay_deeper: Seconds


class Opened(Message, frozen=True, array_like=True):
    """Says that the target took the connection."""

    report: Report | None
    """None where nothing is balanced by it, and where there was one just before."""


class Refused(Message, frozen=True, array_like=True):
    """Says that the flow was not taken, and that it may be offered elsewhere."""

    reason: Reason
    message: ShortText


class Pending(Message, frozen=True, array_like=True):
    """Says that the word that is owed has yet to wait for the target: OPENED or REFUSED until it
    has taken the connection, DONE until it has taken what was sent. It is said again and again."""


class Done(Message, frozen=True, array_like=True):
    """Ends a flow: all that the ingress sent has been delivered or dropped."""

    received: Unsigned64
    """Payload bytes that the target took."""
    report: Report | None
    """As in `Opened`."""


class Relay(Message, frozen=True, array_like=True):
    """Asks that this connection be passed on to a site that is further away."""

    destination: SiteName
    hop_limit: Annotated[int, Meta(ge=0, le=255)]
    choice: Annotated[int, Meta(ge=0, le=255)] = 0
    """Which of several next hops of equal cost each site is to take; it counts round."""


class Relayed(Message, frozen=True, array_like=True):
    """Says that the relay stands: both sides now end this hop's TLS with close_notify."""

    path: Annotated[tuple[SiteName, ...], Meta(max_length=MAX_RELAY_PATH)] = ()
    """The sites behind the one that answers that it runs through, the destination included; empty
    as well where there are more than that, or one of them does not tell."""


class Renew(Message, frozen=True, array_like=True):
    """Asks for a new certificate with the name, key, and grants of the one that the sender has
    shown; no flow is opened on this channel then."""

    request: CertificateRequest
    """For the sender's present key."""
    ca_request: CertificateRequest
    """For that of its authority; empty if it has none."""


Proof = Annotated[bytes, Meta(max_length=256)]


class Readmit(Message, frozen=True, array_like=True):
    """Asks for a new certificate for another site, whose own has run out and who is a neighbour of
    the sender's."""

    site: SiteName
    chain: Chain
    """The one that has run out."""
    request: CertificateRequest
    ca_request: CertificateRequest
    proof: Proof
    """By that site's key, bound to what is exported of this channel: see `van.wire.join`."""


class Renewed(Message, frozen=True, array_like=True):
    """Answers `Renew` and `Readmit`: the new chains, or a reason why not."""

    chain: Chain
    ca_chain: Chain
    error: ShortText


Hash = Annotated[bytes, Meta(max_length=32)]
"""SHA-256 of a record; empty where there is none."""


class Trail(Message, frozen=True, array_like=True):
    """Hands out records of the sender's audit trail; the first of a channel has none, and asks what
    is kept already."""

    authority: Chain
    """The sender's authority, and those above it, without the root; empty for the root."""
    proof: Proof
    """By the authority's key, that it is the sender's."""
    last: Unsigned64
    """Number of the last record that there is, 0 if there is none."""
    last_hash: Hash
    lines: Annotated[
        tuple[Annotated[bytes, Meta(max_length=MAX_TRAIL_LINE)], ...],
        Meta(max_length=MAX_TRAIL_LINES),
    ]
    """Records that follow each other, as they are in the sender's file."""


class TrailKept(Message, frozen=True, array_like=True):
    """Answers `Trail`: which record of it is the last that is kept, or why none is taken."""

    authority: Chain
    proof: Proof
    """As in `Trail`: a trail is not for everybody to read."""
    number: Unsigned64
    hash: Hash
    error: ShortText


class Leave(Message, frozen=True, array_like=True):
    """Says that the sender has broken a flow of a bundle off, and why, if a router did."""

    reason: ShortText = ""


class Width(Message, frozen=True, array_like=True):
    """Says to the ingress of how many bundles the egress would make use, by what is lost of what it
    sends."""

    bundles: Annotated[int, Meta(ge=1, le=255)]


class Farewell(Message, frozen=True, array_like=True):
    """Says why the sender breaks the channel off, right before it does; a flow that is on it ends
    for that reason."""

    reason: ShortText


MAX_PAYLOADS: Final = {
    int(Kind.DATAGRAM): MAX_DATAGRAM_PAYLOAD,
    int(Kind.BRANCH): MAX_BRANCH_PAYLOAD,
    int(Kind.TRAIL): MAX_TRAIL_PAYLOAD,
    int(Kind.READMIT): MAX_READMIT_PAYLOAD,
}
"""Of the kinds that have another limit than `MAX_CONTROL_PAYLOAD`."""
CODEC: Final = Codec(
    {
        Kind.HELLO: Hello,
        Kind.OPEN: Open,
        Kind.OPENED: Opened,
        Kind.REFUSED: Refused,
        Kind.DONE: Done,
        Kind.RELAY: Relay,
        Kind.RELAYED: Relayed,
        Kind.BRANCH: Branch,
        Kind.BUNDLE: Bundle,
        Kind.CARRY: Carry,
        Kind.LEAVE: Leave,
        Kind.WIDTH: Width,
        Kind.PENDING: Pending,
        Kind.RENEW: Renew,
        Kind.RENEWED: Renewed,
        Kind.TRAIL: Trail,
        Kind.TRAIL_KEPT: TrailKept,
        Kind.READMIT: Readmit,
        Kind.FAREWELL: Farewell,
    }
)
"""DATA and DATAGRAM have raw bytes for their payload, EOF and RESET have none: these four are not
messages."""
