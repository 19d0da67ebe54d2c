"""Since when a key has had its name, as its certificate says: renewals carry it on.

Of two sites of one name it decides, not when the present certificate was issued. Who issues a
certificate writes it, and can write what it likes; so it counts from no earlier than the first
issue of whoever issued, which the authority above has written.
"""

from datetime import UTC, datetime
from typing import Final

from cryptography import x509

from van.errors import CertificateError

OID: Final = x509.ObjectIdentifier("2.25.299404093937171406838353206837172931177")
"""Names the extension: the arc of UUIDs (ITU-T X.667), as that of grants."""
INTEGER: Final = 0x02
"""DER tag of the extension's value: seconds since 1970."""
MAX_SECONDS: Final = 253402300799
"""The last second of the year 9999, where X.509 ends too."""


def encode_first_issue(at: datetime) -> bytes:
    """Encode a time, in whole seconds, as the value of the extension: a DER INTEGER."""
    seconds = int(at.timestamp())
    content = seconds.to_bytes(seconds.bit_length() // 8 + 1, "big", signed=True)
    return bytes((INTEGER, len(content))) + content


def decode_first_issue(value: bytes) -> datetime:
    """Decode the value of the extension, or raise `CertificateError`."""
    seconds = int.from_bytes(value[2:10], "big", signed=True)
    if 0 <= seconds <= MAX_SECONDS:
        at = datetime.fromtimestamp(seconds, UTC)
        if encode_first_issue(at) == value:
            return at
    raise CertificateError("malformed time of first issue in a certificate")
