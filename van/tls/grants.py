"""What a site may do, as its certificate says."""

from collections.abc import Iterable
from typing import Final

import attrs
import msgspec
from cryptography import x509

from van.errors import CertificateError, LocalError
from van.names import check_pattern, pattern_covers, pattern_matches

OID: Final = x509.ObjectIdentifier("2.25.146373610630775544663781913719956203103")
"""Names the extension: the arc of UUIDs (ITU-T X.667), so that nobody had to be asked for it."""
MAX_ENCODED: Final = 4096
"""Largest encoding in bytes: a certificate of it still fits the 8 KiB that a message allows one."""
UTF8_STRING: Final = 0x0C
"""DER tag of the extension's value."""


class _Encoded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON in the extension. A field this version does not know could be a limit: refuse it."""

    can_invite: bool
    allow_expose: tuple[str, ...]
    allow_bind: tuple[str, ...]


def _check_patterns(_grants: object, _field: object, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        check_pattern(pattern)


def _patterns() -> tuple[str, ...]:
    return attrs.field(default=("*",), converter=tuple, validator=_check_patterns)


@attrs.frozen
class Grants:
    """What a site may do; an empty tuple of patterns allows nothing.

    Raises `InvalidName` for a pattern that is not valid, and `LocalError` for more or longer
    patterns than fit a certificate.
    """

    can_invite: bool = False
    allow_expose: tuple[str, ...] = _patterns()
    allow_bind: tuple[str, ...] = _patterns()

    def __attrs_post_init__(self) -> None:
        size = len(encode_grants(self))
        if size > MAX_ENCODED:
            raise LocalError(
                f"patterns take {size} bytes of a certificate, and {MAX_ENCODED} is the most: "
                "use fewer or shorter ones"
            )

    def may_expose(self, address: str) -> bool:
        """Tell whether an address, `name:port`, may be exposed."""
        return any(pattern_matches(pattern, address) for pattern in self.allow_expose)

    def may_bind(self, address: str) -> bool:
        """Tell whether an address, `name:port`, may be bound."""
        return any(pattern_matches(pattern, address) for pattern in self.allow_bind)

    def union(self, other: "Grants") -> "Grants":
        """Return grants that allow what either allows; raise `LocalError` if they are too many."""
        return Grants(
            self.can_invite or other.can_invite,
            _union(self.allow_expose, other.allow_expose),
            _union(self.allow_bind, other.allow_bind),
        )

    def covers(self, other: "Grants") -> bool:
        """Tell whether the other grants allow nothing that these do not."""
        return (
            (self.can_invite or not other.can_invite)
            and _cover(self.allow_expose, other.allow_expose)
            and _cover(self.allow_bind, other.allow_bind)
        )


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """Return all patterns that no other of them covers."""
    every = tuple(dict.fromkeys((*first, *second)))
    return tuple(
        each for each in every if not any(pattern_covers(o, each) for o in every if o != each)
    )


def _cover(wide: Iterable[str], narrow: Iterable[str]) -> bool:
    return all(any(pattern_covers(pattern, inner) for pattern in wide) for inner in narrow)


def encode_grants(grants: Grants) -> bytes:
    """Encode grants as the value of the extension: JSON in a DER UTF8String."""
    fields = _Encoded(grants.can_invite, grants.allow_expose, grants.allow_bind)
    return _wrap(msgspec.json.encode(fields))


def decode_grants(value: bytes) -> Grants:
    """Decode the value of the extension, or raise `CertificateError`."""
    if len(value) > MAX_ENCODED:
        raise CertificateError(f"grants of {len(value)} bytes are larger than {MAX_ENCODED}")
    try:
        fields = msgspec.json.decode(_unwrap(value), type=_Encoded)
        return Grants(fields.can_invite, fields.allow_expose, fields.allow_bind)
    except (msgspec.DecodeError, ValueError, LocalError) as exc:
        raise CertificateError(f"malformed grants in a certificate: {exc}") from exc


def _wrap(content: bytes) -> bytes:
    """Put a DER header before a UTF8String's content (X.690, sections 8.1 and 10.1)."""
    size = len(content)
    if size < 128:
        return bytes((UTF8_STRING, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((UTF8_STRING, 128 + len(length))) + length + content


def _unwrap(value: bytes) -> bytes:
    for header_size in (2, 3, 4):
        if _wrap(value[header_size:]) == value:
            return value[header_size:]
    raise ValueError("not one DER UTF8String")


FULL: Final = Grants(can_invite=True)
"""What the site that made the VAN may do: everything."""
