"""One value of everything that sites send each other, and how it is encoded.

The bytes that they have in a revision of the protocol stand beside this file, in one named for it.
`python -m tests.wire.golden.values` prints those of the present one.
"""

from collections.abc import Mapping
from typing import Final

from van.tls.sealing import Sealer
from van.wire import bundle, channel, join, link
from van.wire.bundle import REPEAT
from van.wire.channel import Kind
from van.wire.credit import CREDIT
from van.wire.expulsion import Expulsion, Expulsions, ExpulsionsHeld
from van.wire.framing import HEADER_SIZE, WAKE_SIZE, Message, pack_header, pad
from van.wire.lsa import (
    AddressesBody,
    AdjacenciesBody,
    Adjacency,
    Binding,
    Body,
    IdentityBody,
    Lsa,
    LsaKind,
    Service,
    encode_body,
)
from van.wire.policy import Policies, PolicyStatement

CHAIN: Final = (b"leaf", b"issuer")
ENTRIES: Final = (link.DigestEntry("db-1", LsaKind.ADJACENCIES, 3, 4_000_000_000),)
REPORT: Final = channel.Report(7, 0.25, 0.5)
GROUP: Final = bytes(range(16))
MEMBERSHIP: Final = channel.Membership(GROUP, 3, bytes(range(32)), 30.0)
LSA: Final = Lsa("hub", LsaKind.ADDRESSES, 5, 6, 900.5, b"body", b"signature")
EXPULSION: Final = Expulsion("west", bytes(range(32)), 1.75e9, "stolen", CHAIN, b"signature")
FORGETTING: Final = Expulsion("west", bytes(32), 1.75e9, "", (), b"signature", is_forgotten=True)
POLICY: Final = PolicyStatement(2, True, "[[rule]]\n", 1.75e9, CHAIN[:1], b"signature")
REQUEST: Final = join.JoinRequest(2, "guest", b"request", b"ca", CHAIN, b"proof", 1)

LINK: Final[Mapping[str, Message]] = {
    "hello": link.Hello(2, "hub", 9, 10, 0.25, 1.75e9, 11, 1.5e9, 1, "1.2.3"),
    "heartbeat": link.Heartbeat(1.5, 2.5, 0.25),
    "digest": link.Digest(b"\x00\x3f", ENTRIES, is_last=True),
    "request": link.Request(ENTRIES),
    "advertisements": link.Advertisements((LSA,)),
    "channel-request": link.ChannelRequest(3),
    "goodbye": link.Goodbye("until later", is_final=False),
    "cost-change": link.CostChange(300),
    "summary": link.Summary(bytes(range(256)) * 2),
    "announcement": link.Announcement(ENTRIES),
    "flood-mode": link.FloodMode(is_eager=True),
    "probe": link.Probe(2**62, ("west", "hub"), "east", 5),
    "probe-reply": link.ProbeReply(2**62, ("west", "hub"), link.ProbeOutcome.EXPIRED),
    "hold-change": link.HoldChange(0.5),
    "ping": link.Ping(),
    "pong": link.Pong(),
    "copy-found": link.CopyFound("192.0.2.1:7670"),
    "expulsions-held": ExpulsionsHeld((GROUP,)),
    "expulsions": Expulsions((EXPULSION, FORGETTING)),
    "authority-grant": link.AuthorityGrant("east", CHAIN, 3),
    "policies": Policies((POLICY,)),
}
CHANNEL: Final[Mapping[str, Message]] = {
    "hello": channel.Hello(2, channel.Role.ACCEPTOR_OPENS, 1),
    "open": channel.Open("f1", "tcp", "db:5432", is_patient=False),
    "open-for": channel.Open("f3", "tcp", "db:5432", client="127.0.0.1:50000"),
    "open-exchange": channel.Open("f4", "http", "api:80", may_repeat=True),
    "open-to-all": channel.Open("f2", "udp", "dns:53", True, False, MEMBERSHIP),
    "opened": channel.Opened(REPORT),
    "refused": channel.Refused(channel.Reason.BUSY, "too many"),
    "done": channel.Done(2**40, REPORT),
    "relay": channel.Relay("east", 16, 1),
    "relayed": channel.Relayed(("hub", "east")),
    "branch": channel.Branch(GROUP, 3, (channel.Vertex("hub", 0), channel.Vertex("east", 0))),
    "pending": channel.Pending(),
    "bundle": channel.Bundle(GROUP),
    "renew": channel.Renew(b"request", b"ca"),
    "renewed": channel.Renewed(CHAIN, CHAIN[1:], ""),
    "trail": channel.Trail(CHAIN, b"proof", 5, bytes(range(32)), (b"{}",)),
    "trail-kept": channel.TrailKept((), b"proof", 5, bytes(range(32)), "full"),
    "readmit": channel.Readmit("west", CHAIN, b"request", b"ca", b"proof"),
    "carry": channel.Carry(GROUP, 9),
    "leave": channel.Leave("expelled"),
    "width": channel.Width(4),
    "farewell": channel.Farewell("the site is stopping"),
}
JOIN: Final[Mapping[str, Message]] = {
    "join-request": REQUEST,
    "join-accepted": join.JoinAccepted(
        "hub", b"root", CHAIN, CHAIN[1:], 10, 1.75e9, "ask the root", 2, 1
    ),
    "join-declined": join.JoinDeclined("join-refused", "it is used up"),
    "join-offer": join.JoinOffer(2, 1),
    "join-challenge": join.JoinChallenge(bytes(range(32))),
}
MESSAGES: Final = {
    "link": (link.CODEC, LINK),
    "channel": (channel.CODEC, CHANNEL),
    "join": (join.CODEC, JOIN),
}
RAW: Final[Mapping[str, tuple[Kind, bytes]]] = {
    "data": (Kind.DATA, b"GET / HTTP/1.1\r\n"),
    "datagram": (Kind.DATAGRAM, b"\x00\xff"),
    "eof": (Kind.EOF, b""),
    "reset": (Kind.RESET, b""),
}
"""Frames of a channel that are no messages."""
ON_BUNDLE: Final[Mapping[str, tuple[Kind, bytes | Message]]] = {
    "open": (Kind.OPEN, CHANNEL["open"]),
    "opened": (Kind.OPENED, CHANNEL["opened"]),
    "refused": (Kind.REFUSED, CHANNEL["refused"]),
    "done": (Kind.DONE, CHANNEL["done"]),
    "pending": (Kind.PENDING, CHANNEL["pending"]),
    "leave": (Kind.LEAVE, CHANNEL["leave"]),
    "width": (Kind.WIDTH, CHANNEL["width"]),
    "credit": (Kind.CREDIT, CREDIT.pack(2**33, 2**33 + 65536)),
    "moved": (Kind.MOVED, b""),
    "bulk": (Kind.BULK, b""),
    "repeat": (Kind.REPEAT, REPEAT.pack(GROUP, 2**33) + b"frames"),
    **RAW,
}
NUMBER: Final = 0x01020304
"""Of the flow that frames on a bundle are of."""
BODIES: Final[Mapping[LsaKind, Body]] = {
    LsaKind.IDENTITY: IdentityBody(CHAIN, 7, 1.5e9, CHAIN[1:], has_left=True, software="1.2.3"),
    LsaKind.ADJACENCIES: AdjacenciesBody((Adjacency("hub", 10, 250),), is_transit=False),
    LsaKind.ADDRESSES: AddressesBody(
        (
            Service("db:5432", "tcp", 2, 3, 90, 1_750_000_000, ("tag:prod", "w*"), is_limited=True),
            Service("dns:53", "udp"),
        ),
        (Binding("web:80", "tcp"),),
    ),
}
SIGNED: Final[Mapping[str, bytes]] = {
    "lsa": LSA.signed_bytes(),
    "expulsion": EXPULSION.signed_bytes(),
    "forgetting": FORGETTING.signed_bytes(),
    "policy": POLICY.signed_bytes(),
    "join": join.proved_bytes(REQUEST, bytes(range(32))),
}
"""What signatures cover, which has to be the same at both ends as well."""
SEALED_KEY: Final = MEMBERSHIP.key
SEALED: Final = b"\x00\x00\x00\x07query"


def _payload(message: Message) -> bytes:
    return channel.CODEC.encode(message)[HEADER_SIZE:]


def lines() -> dict[str, str]:
    """Return the bytes of everything in hexadecimal, by name."""
    found = {
        f"{conversation}/{name}": codec.encode(message)
        for conversation, (codec, messages) in MESSAGES.items()
        for name, message in messages.items()
    }
    found["link/padded"] = pad(link.CODEC.encode(LINK["ping"]), WAKE_SIZE)
    for name, (kind, payload) in RAW.items():
        found[f"channel/{name}"] = pack_header(kind, len(payload)) + payload
    for name, (kind, content) in ON_BUNDLE.items():
        payload = content if isinstance(content, bytes) else _payload(content)
        found[f"bundle/{name}"] = bundle.pack(kind, NUMBER, payload)
    for body in BODIES:
        found[f"lsa/{body.name.lower()}"] = encode_body(BODIES[body])
    found |= {f"signed/{name}": signed for name, signed in SIGNED.items()}
    found["sealed/datagram"] = Sealer(SEALED_KEY).seal(SEALED)
    return {name: each.hex() for name, each in found.items()}


if __name__ == "__main__":
    for name, line in lines().items():
        print(name, line)
