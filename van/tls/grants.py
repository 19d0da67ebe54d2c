"""What a site may do, as its certificate says."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import attrs
import msgspec
from cryptography import x509

from van.errors import CertificateError, LocalError
from van.names import (
    any_pattern_matches,
    check_pattern,
    check_site_pattern,
    check_tag,
    pattern_covers,
    site_pattern_covers,
    site_pattern_matches,
)

OID: Final = x509.ObjectIdentifier("2.25.146373610630775544663781913719956203103")
"""Names the extension: the arc of UUIDs (ITU-T X.667), so that nobody had to be asked for it."""
MAX_ENCODED: Final = 4096
"""Largest encoding in bytes: a certificate of it still fits the 8 KiB that a message allows one."""
UTF8_STRING: Final = 0x0C
"""DER tag of the extension's value."""
SITE_LIFETIME: Final = timedelta(days=7)
"""How long a site's certificate is good, unless it says otherwise: it comes back after as long
without a new one."""
INTERMEDIATE_LIFETIME: Final = timedelta(days=30)
"""Longest time that an inviting site may be away and still find its authority good, where sites'
certificates live as long as usual; otherwise it is in proportion."""
MIN_LIFETIME: Final = timedelta(seconds=10)
MAX_LIFETIME: Final = timedelta(days=366)


class _Encoded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON in the extension. A field this version does not know could be a limit: refuse it.

    Certificates from before a field was there are without it, and so are those that do not use it.
    """

    can_invite: bool
    allow_expose: tuple[str, ...]
    allow_bind: tuple[str, ...]
    may_name: tuple[str, ...] = ("*",)
    may_tag: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    life: int = int(SITE_LIFETIME.total_seconds())
    is_ephemeral: bool = False


def _names(
    check: Callable[[str], str], *, default: tuple[str, ...], kw_only: bool = False
) -> tuple[str, ...]:
    def validate(_grants: object, _field: object, names: tuple[str, ...]) -> None:
        for each in names:
            check(each)

    return attrs.field(default=default, converter=tuple, validator=validate, kw_only=kw_only)


def _check_life(_grants: object, _field: object, life: timedelta) -> None:
    if not MIN_LIFETIME <= life <= MAX_LIFETIME or life.microseconds:
        raise LocalError(
            f"life of {life.total_seconds():g} s is not valid for a certificate: use whole "
            "seconds, 10s to 366d"
        )


@attrs.frozen
class Grants:
    """What a site may do, and is; an empty tuple of patterns allows nothing.

    Raises `InvalidName` for a pattern that is not valid, and `LocalError` for more or longer
    patterns than fit a certificate, and for a life that none can have.
    """

    can_invite: bool = False
    allow_expose: tuple[str, ...] = _names(check_pattern, default=("*",))
    allow_bind: tuple[str, ...] = _names(check_pattern, default=("*",))
    may_name: tuple[str, ...] = _names(check_site_pattern, default=("*",), kw_only=True)
    """Patterns of the names that it may give to sites; they count if it may invite."""
    may_tag: tuple[str, ...] = _names(check_site_pattern, default=(), kw_only=True)
    """Patterns of the tags that it may give to sites; they count if it may invite."""
    tags: tuple[str, ...] = _names(check_tag, default=(), kw_only=True)
    """By which it is meant in what others allow."""
    life: timedelta = attrs.field(default=SITE_LIFETIME, validator=_check_life, kw_only=True)
    """How long its certificates are good."""
    is_ephemeral: bool = attrs.field(default=False, kw_only=True)
    """Whether its certificate is not renewed, and its name is free once it has gone."""

    def __attrs_post_init__(self) -> None:
        size = len(encode_grants(self))
        if size > MAX_ENCODED:
            raise LocalError(
                f"patterns take {size} bytes of a certificate, and {MAX_ENCODED} is the most: "
                "use fewer or shorter ones"
            )

    @property
    def authority_life(self) -> timedelta:
        """Return how long an authority is good whose site's certificate has these grants."""
        seconds = self.life // timedelta(seconds=1) * INTERMEDIATE_LIFETIME // SITE_LIFETIME
        return timedelta(seconds=seconds)

    def may_expose(self, address: str) -> bool:
        """Tell whether an address, `name:port`, may be exposed."""
        return any_pattern_matches(self.allow_expose, address)

    def may_bind(self, address: str) -> bool:
        """Tell whether an address, `name:port`, may be bound."""
        return any_pattern_matches(self.allow_bind, address)

    def may_give_name(self, site: str) -> bool:
        """Tell whether a site may be given a name by who has these grants."""
        return any(site_pattern_matches(pattern, site) for pattern in self.names_given())

    def union(self, other: "Grants") -> "Grants":
        """Return grants that allow what either allows; raise `LocalError` if they are too many."""
        return Grants(
            self.can_invite or other.can_invite,
            _union(self.allow_expose, other.allow_expose, pattern_covers),
            _union(self.allow_bind, other.allow_bind, pattern_covers),
            may_name=_union(self.names_given(), other.names_given(), site_pattern_covers),
            may_tag=_union(self.tags_given(), other.tags_given(), site_pattern_covers),
            tags=tuple(dict.fromkeys((*self.tags, *other.tags))),
            life=max(self.life, other.life),
            is_ephemeral=self.is_ephemeral and other.is_ephemeral,
        )

    def names_given(self) -> tuple[str, ...]:
        """Return the patterns of the names that it may give to sites."""
        return self.may_name if self.can_invite else ()

    def tags_given(self) -> tuple[str, ...]:
        """Return the patterns of the tags that it may give to sites."""
        return self.may_tag if self.can_invite else ()

    def covers(self, other: "Grants") -> bool:
        """Tell whether who has these grants may do, and is, all that others say."""
        return self._allow(other) and set(self.tags).issuperset(other.tags)

    def may_grant(self, other: "Grants") -> bool:
        """Tell whether an authority with these grants may give others."""
        return self._allow(other) and _cover(self.tags_given(), other.tags, site_pattern_covers)

    def _allow(self, other: "Grants") -> bool:
        return (
            (self.can_invite or not other.can_invite)
            and _cover(self.allow_expose, other.allow_expose, pattern_covers)
            and _cover(self.allow_bind, other.allow_bind, pattern_covers)
            and _cover(self.names_given(), other.names_given(), site_pattern_covers)
            and _cover(self.tags_given(), other.tags_given(), site_pattern_covers)
        )


def _union(
    first: tuple[str, ...], second: tuple[str, ...], covers: Callable[[str, str], bool]
) -> tuple[str, ...]:
    """Return all patterns that no other of them covers."""
    every = tuple(dict.fromkeys((*first, *second)))
    return tuple(each for each in every if not any(covers(o, each) for o in every if o != each))


def _cover(wide: Iterable[str], narrow: Iterable[str], covers: Callable[[str, str], bool]) -> bool:
    return all(any(covers(pattern, inner) for pattern in wide) for inner in narrow)


def encode_grants(grants: Grants) -> bytes:
    """Encode grants as the value of the extension: JSON in a DER UTF8String."""
    fields = _Encoded(**dump_grants(grants))
    given = {
        each.name: value
        for each in msgspec.structs.fields(fields)
        if (value := getattr(fields, each.name)) != each.default
    }
    return _wrap(msgspec.json.encode(given))


def decode_grants(value: bytes) -> Grants:
    """Decode the value of the extension, or raise `CertificateError`."""
    if len(value) > MAX_ENCODED:
        raise CertificateError(f"grants of {len(value)} bytes are larger than {MAX_ENCODED}")
    try:
        fields = msgspec.json.decode(_unwrap(value), type=_Encoded)
        return load_grants(msgspec.structs.asdict(fields))
    except (msgspec.DecodeError, ValueError, LocalError) as exc:
        raise CertificateError(f"malformed grants in a certificate: {exc}") from exc


def dump_grants(grants: Grants) -> dict[str, Any]:
    """Return grants as the plain values that certificates and files hold, by name."""
    return attrs.asdict(grants) | {"life": int(grants.life.total_seconds())}


def load_grants(fields: Mapping[str, Any]) -> Grants:
    """Return the grants in such values, among which may be others; raise what `Grants` does."""
    given = {each.name: fields[each.name] for each in attrs.fields(Grants)}
    seconds = given["life"]
    if abs(seconds) > MAX_LIFETIME.total_seconds():
        raise LocalError(f"life of {seconds} s is not valid for a certificate: use 10s to 366d")
    return Grants(**given | {"life": timedelta(seconds=seconds)})


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


FULL: Final = Grants(can_invite=True, may_tag=("*",))
"""What the site that made the VAN may do: everything."""
