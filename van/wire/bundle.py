"""The framing of a bundle, the connection that carries many flows at a time.

A bundle begins as a channel: BUNDLE in the place of OPEN makes it one, for good. From there on each
frame names the flow that it is of: a big-endian word of kind and length, as on a channel, and the
flow's number. The ingress counts them up from 1 and uses none twice. The frames of one flow are
those that it has on a channel, from OPEN to DONE or REFUSED, and three more: `CREDIT` says how much
more may come (`van.wire.credit`), `LEAVE` that its sender has broken the flow off, and `MOVED` that
what follows in this direction comes on another connection, to which `CARRY` has moved the flow.
With `BULK` an egress asks for that. `WIDTH`, of no flow, says how many bundles it would make use
of. `REPEAT`, of no flow, says again what was said on another bundle of the same two sites, on which
it may be held up.
"""

import struct
from typing import Final

from van.errors import RemoteProtocolError
from van.wire.channel import (
    MAX_CONTROL_PAYLOAD,
    MAX_DATA_PAYLOAD,
    MAX_DATAGRAM,
    MAX_RECORD,
    Kind,
)

HEADER: Final = struct.Struct("!II")
HEADER_SIZE: Final = HEADER.size
MAX_DATA: Final = MAX_RECORD - HEADER_SIZE
"""Payload of the largest DATA frame that a sender makes: others have their turn behind it."""
REPEAT: Final = struct.Struct("!16sQ")
"""What the payload of a REPEAT frame begins with: the other bundle, and the position there of what
follows, counted in bytes from its first frame on."""
MAX_REPEAT: Final = MAX_DATA - REPEAT.size
"""Bytes that a sender puts behind that: the frame fits a record."""
MAX_NUMBER: Final = 0xFFFFFFFF
MAX_FLOWS: Final = 65_536
"""Flows that an ingress may have open on one bundle."""
_LIMITS: Final = {
    int(Kind.DATA): MAX_DATA_PAYLOAD,
    int(Kind.DATAGRAM): MAX_DATAGRAM,
    int(Kind.REPEAT): MAX_DATA,
}


def pack(kind: int, number: int, payload: bytes | memoryview = b"") -> bytes:
    """Return a flow's frame."""
    return HEADER.pack(kind << 24 | len(payload), number) + payload


def unpack_repeat(payload: memoryview) -> tuple[bytes, int, bytes]:
    """Return bundle, position, and bytes of a REPEAT frame; raise `RemoteProtocolError` if it has
    none, or too many."""
    if not REPEAT.size <= len(payload) <= MAX_DATA:
        raise RemoteProtocolError(f"a repeat of {len(payload)} bytes is none")
    bundle, position = REPEAT.unpack_from(payload)
    return bundle, position, bytes(payload[REPEAT.size :])


def check_length(kind: int, length: int) -> None:
    """Raise `RemoteProtocolError` if a frame announces more than it may hold."""
    if length > _LIMITS.get(kind, MAX_CONTROL_PAYLOAD):
        raise RemoteProtocolError(f"frame of kind {kind} with {length} bytes is too large")
