"""Names that people type: site names, VAN addresses, endpoints, and patterns of addresses."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, Self

import attrs

from van.errors import InvalidName

MAX_LABEL: Final = 63
"""Longest DNS label (RFC 1035, section 2.3.4)."""
MAX_NAME: Final = 253
"""Longest DNS name in text form (RFC 1035, section 2.3.4)."""
LOCALHOST: Final = "localhost"
"""This machine, over IPv4 or IPv6."""
UNIX_PREFIX: Final = "unix:"
MAX_UNIX_PATH: Final = 107
"""Bytes of a socket's path (unix(7), `sun_path`)."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_HOST_LABEL = r"[a-z0-9_][a-z0-9_-]{0,62}"
_HOST = re.compile(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*\.?", re.ASCII | re.IGNORECASE)
"""A host of the network beneath, whose names are laxer than ours: what a resolver takes."""


def is_label(text: str) -> bool:
    """Tell whether a text is one lower-case DNS label (RFC 1123, section 2.1)."""
    return len(text) <= MAX_LABEL and _LABEL.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Tell whether a text is a lower-case DNS name of one or more labels."""
    return len(text) <= MAX_NAME and all(map(is_label, text.split(".")))


def check_site_name(text: str) -> str:
    """Return a site name unchanged, or raise `InvalidName`."""
    if is_label(text):
        return text
    raise InvalidName(
        f"site name {text!r} is not valid: use up to {MAX_LABEL} lower-case letters, digits, "
        "and dashes, neither first nor last a dash"
    )


def _parse_port(text: str, whole: str) -> int:
    digits = text.lstrip("0")
    if text.isascii() and digits.isdigit() and len(digits) < 6 and int(digits) < 65536:
        return int(digits)
    raise InvalidName(f"port {text!r} of {whole!r} is not valid: use a number from 1 to 65535")


@attrs.frozen(order=True)
class Address:
    """A VAN address, `name:port`: the name of a running process, or of many."""

    name: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name:port`, or raise `InvalidName`."""
        name, colon, port = text.rpartition(":")
        if not colon or not is_name(name):
            raise InvalidName(
                f"address {text!r} is not valid: use NAME:PORT, with lower-case letters, digits, "
                "dashes, and dots in the name, such as db:5432"
            )
        return cls(name, _parse_port(port, text))

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


@attrs.frozen
class Endpoint:
    """A host and port of the network beneath: `127.0.0.1:80`, `[::1]:80`, `edge.example:7671`."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, *, default_host: str = "127.0.0.1") -> Self:
        """Read `host:port`, `[v6]:port`, or `port` alone; raise `InvalidName` for anything else."""
        host, colon, port = text.rpartition(":")
        if not colon:
            return cls(default_host, _parse_port(port, text))
        if not host:
            raise InvalidName(f"endpoint {text!r} has no host: use HOST:PORT")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            is_host = _is_ipv6(host)
        elif ":" in host:
            raise InvalidName(f"endpoint {text!r} is not valid: write an IPv6 host as [HOST]:PORT")
        else:
            is_host = len(host) <= MAX_NAME and _HOST.fullmatch(host) is not None
        if not is_host:
            raise InvalidName(f"endpoint {text!r} is not valid: use HOST:PORT")
        return cls(host, _parse_port(port, text))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@attrs.frozen
class UnixPath:
    """A socket of this machine's file system, written `unix:/run/db.sock`."""

    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `unix:/PATH`; raise `InvalidName` for a path that is relative, or too long."""
        path = text.removeprefix(UNIX_PREFIX)
        if not path.startswith("/") or "\0" in path:
            raise InvalidName(f"target {text!r} is not valid: use unix: and a full path")
        if len(path.encode()) > MAX_UNIX_PATH:
            raise InvalidName(
                f"path of {text!r} is too long for a socket: {MAX_UNIX_PATH} bytes at most"
            )
        return cls(path)

    def __str__(self) -> str:
        return UNIX_PREFIX + self.path


Target = Endpoint | UnixPath
"""Where a process that serves is reached."""


def parse_target(text: str) -> Target:
    """Read an endpoint or `unix:/PATH`; raise `InvalidName`.

    A port alone is one of this machine, at whichever loopback a server listens.
    """
    if text.startswith(UNIX_PREFIX):
        return UnixPath.parse(text)
    return Endpoint.parse(text, default_host=LOCALHOST)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def check_pattern(text: str) -> str:
    """Return a pattern of addresses unchanged, or raise `InvalidName`.

    A pattern is `*` (every name), `*.suffix` (every name below the suffix), or one name, with every
    port; or with one, as in `db:5432` and `*:443`.
    """
    name, colon, port = text.partition(":")
    is_port = is_decimal_port(port) if colon else True
    if is_port and (name == "*" or is_name(name.removeprefix("*."))):
        return text
    raise InvalidName(
        f"pattern {text!r} is not valid: use a name, '*.' and a name, or '*' alone, with a port "
        "or without, such as 'db:5432'"
    )


def check_site_pattern(text: str) -> str:
    """Return a pattern of site names or tags unchanged, or raise `InvalidName`.

    It is one name, or the beginning of one and `*`, or `*` alone.
    """
    prefix = text.removesuffix("*")
    if text == "*" or is_label(prefix if prefix == text else f"{prefix}0"):
        return text
    raise InvalidName(
        f"pattern {text!r} is not valid: use a name such as 'laptop', or its beginning and '*', "
        "such as 'laptop-*'"
    )


def site_pattern_matches(pattern: str, name: str) -> bool:
    """Tell whether a pattern of site names or tags covers one."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def site_pattern_covers(wide: str, narrow: str) -> bool:
    """Tell whether every name that the narrow pattern matches is matched by the wide one too."""
    if narrow.endswith("*") and not wide.endswith("*"):
        return False
    return site_pattern_matches(wide, narrow.removesuffix("*"))


def check_tag(text: str) -> str:
    """Return a tag of a site unchanged, or raise `InvalidName`: it is one DNS label."""
    if is_label(text):
        return text
    raise InvalidName(f"tag {text!r} is not valid: use letters a-z, digits, and '-'")


def is_decimal_port(text: str) -> bool:
    """Tell whether a text is a port as it is written in addresses."""
    is_number = text.isascii() and text.isdigit() and len(text) < 6
    return is_number and text[0] != "0" and int(text) < 65536


def pattern_matches(pattern: str, address: str) -> bool:
    """Tell whether a pattern covers an address, `name:port`."""
    if pattern == "*":
        return True
    wanted, colon, only = pattern.partition(":")
    name, _, port = address.rpartition(":")
    if colon and port != only:
        return False
    return name.endswith(wanted[1:]) if wanted[0] == "*" else name == wanted


def any_pattern_matches(patterns: Sequence[str], address: str) -> bool:
    """Tell whether any of some patterns covers an address."""
    # Each flow asks, and most often everything is covered.
    return "*" in patterns or any(pattern_matches(each, address) for each in patterns)


def pattern_covers(wide: str, narrow: str) -> bool:
    """Tell whether every address that the narrow pattern matches is matched by the wide one too."""
    wide_name, wide_colon, wide_port = wide.partition(":")
    name, _, port = narrow.partition(":")
    if wide_colon and port != wide_port:
        return False
    if name.startswith("*"):
        return wide_name.startswith("*") and name.endswith(wide_name[1:])
    return name.endswith(wide_name[1:]) if wide_name.startswith("*") else name == wide_name
