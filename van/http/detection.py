"""What a client speaks, by the first bytes that it sends."""

import enum
from typing import Final

H2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client of HTTP/2 sends first (RFC 9113, section 3.4)."""
_TLS_HANDSHAKE: Final = b"\x16\x03"
"""The type of a TLS record with a handshake, and the major version (RFC 8446, section 5.1)."""


class Spoken(enum.Enum):
    """What a client speaks."""

    UNKNOWN = "unknown"
    """Too few bytes have come to tell."""
    H1 = "HTTP/1"
    """HTTP/1, or nothing that is known: its parser says what is wrong with it."""
    H2 = "HTTP/2"
    TLS = "TLS"


def detect(start: bytes | bytearray) -> Spoken:
    """Tell what a client speaks by all that has come of it so far, at most 24 bytes of which
    matter."""
    if start.startswith(H2_PREFACE):
        return Spoken.H2
    if start.startswith(_TLS_HANDSHAKE):
        return Spoken.TLS
    if H2_PREFACE.startswith(start) or _TLS_HANDSHAKE.startswith(start):
        return Spoken.UNKNOWN
    return Spoken.H1
