"""The framing of a bundle, the connection that carries many flows at a time.

A bundle begins as a channel: BUNDLE in the place of OPEN makes it one, for good. From there on each
frame names the flow that it is of: a big-endian word of kind and length, as on a channel, and the
flow's number. The ingress counts them up from 1 and uses none twice. The frames of one flow are
those that it has on a channel, from OPEN to DONE or REFUSED, and three more: `CREDIT` says how much
more may come (`van.wire.credit`), `LEAVE` that its sender has broken the flow off, and `MOVED` that
what follows in this direction comes on another connection, to which `CARRY` has moved the flow.
With `BULK` an egress asks for that. `WIDTH`, of no flow, says how many bundles it would make use
of.
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
MAX_NUMBER: Final = 0xFFFFFFFF
MAX_FLOWS: Final = 65_536
"""Flows that an ingress may have open on one bundle."""
_LIMITS: Final = {int(Kind.DATA): MAX_DATA_PAYLOAD, int(Kind.DATAGRAM): MAX_DATAGRAM}


def pack(kind: int, number: int, payload: bytes | memoryview = b"") -> bytes:
    """Return a flow's frame."""
    return HEADER.pack(kind << 24 | len(payload), number) + payload


def check_length(kind: int, length: int) -> None:
    """Raise `RemoteProtocolError` if a frame announces more than it may hold."""
    if length > _LIMITS.get(kind, MAX_CONTROL_PAYLOAD):
        raise RemoteProtocolError(f"frame of kind {kind} with {length} bytes is too large")
