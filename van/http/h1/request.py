"""The head of a request (RFC 9112, section 3): parsing it."""

import re
from typing import Final

import msgspec

from van.http.fields import HOP_BY_HOP, MAX_HEAD, MAX_METHOD, TOKEN
from van.http.h1.framing import Framing, read_framing
from van.http.h1.grammar import (
    FIELDS,
    SMALL,
    check_size,
    explain,
    explain_fields,
    is_whole,
    read_connection,
    show,
    values_of,
)
from van.http.problems import MessageRefused

_TARGET: Final = rb"[!$-;=?-~]"
"""One character of a target: what is visible but the quotation mark, `#`, `<`, and `>`. Browsers
send others that RFC 3986 has encoded."""
_HEAD: Final = re.compile(
    rb"(%b{1,%d}+) (%b++) HTTP/1\.([01])\r\n%b\r\n" % (TOKEN, MAX_METHOD, _TARGET, FIELDS)
)
_LINE: Final = re.compile(rb"([^ ]*+) ([^ ]*+) HTTP/([0-9])\.([0-9])")
_METHOD: Final = re.compile(rb"%b++" % TOKEN)
_KNOWN: Final = re.compile(
    rb"\r\n(authorization(?=:[ \t]*+(?:ntlm|negotiate))|con(?:nection|tent[-_]length)|expect"
    rb"|forwarded|h(?:ost|ttp2-settings)|keep-alive"
    rb"|proxy-(?:authenticate|authorization|connection)|t(?:e|ransfer[-_]encoding)|upgrade"
    rb"|x-request-id):([^\r]*)"
)
"""Fields that mean something here, in a head in lower case."""
_HOST: Final = re.compile(
    rb"(?:(?:[0-9a-z._~!$&'()*+,;=-]|%[0-9a-f]{2})++|\[[0-9a-f:.]++\])(?::[0-9]{0,5}+)?+"
)
_ABSOLUTE: Final = re.compile(rb"http://([^/?*]++)(?:[/?].*+)?+", re.IGNORECASE)
_LISTED: Final = re.compile(rb"(?:^|,)[ \t]*+trailers[ \t]*+(?:,|$)")
_NOT_SWITCHED: Final = re.compile(rb"(?:h2c?|http|tls)(?:/.*)?+")
"""Protocols that nobody upgrades to through the VAN: behind such an answer there would be further
requests, which nobody looks at."""
_DROPPED: Final = (HOP_BY_HOP - {b"transfer-encoding"}) | {b"forwarded"}
"""Fields that are not passed on. What a client claims in Forwarded nobody has verified."""
_PROTOCOL: Final = re.compile(rb"%b++(?:/%b++)?+" % (TOKEN, TOKEN))


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """The head of a request, checked. A struct of msgspec is made four times as quickly as an
    `attrs` class, and one is made for each request."""

    method: bytes
    target: bytes
    """As it came; never decoded. It may be absolute: `van.http.h1.forwarding` makes a path of
    it."""
    minor: int
    """Of the version, HTTP/1.0 or 1.1."""
    host: bytes
    """In lower case, with the port if it has one; empty if a request of HTTP/1.0 has none."""
    raw: bytes
    """The bytes as they came, to the end of the empty line."""
    framing: Framing = Framing.NONE
    length: int = 0
    """Bytes of the body, for `Framing.LENGTH`."""
    keep_alive: bool = True
    """Whether the client wants to send further requests on its connection."""
    expects_continue: bool = False
    upgrade: bytes = b""
    """The one protocol to switch to, in lower case; empty if there is none, or it is none that the
    connection may be switched to."""
    takes_trailers: bool = False
    """Whether the client wants the trailers of the answer."""
    binds_connection: bool = False
    """Whether it authenticates its connection rather than itself, as NTLM does (RFC 4559, section
    6): then no other client's request may follow on that to the target."""
    has_id: bool = False
    """Whether there is a field X-Request-Id."""
    drops: tuple[bytes, ...] = ()
    """Fields that are not passed on, in lower case."""

    @property
    def has_body(self) -> bool:
        """Tell whether there is a body, which may be in chunks and empty."""
        return self.length > 0 or self.framing is Framing.CHUNKED

    @property
    def is_websocket(self) -> bool:
        """Tell whether the client asks for a WebSocket (RFC 6455)."""
        return self.upgrade == b"websocket" and self.method == b"GET"


def parse_request(data: bytes, start: int = 0, *, searched: int = 0) -> RequestHead | None:
    """Return the head of the request that begins at `start`, or None if more of it is to come.

    Of the bytes from `start` on, `searched` were there the last time. Raises `MessageRefused` with
    the status for the client, for some faults before the head is whole.
    """
    match = None
    if not searched or is_whole(data, start, searched):
        match = _HEAD.match(data, start, start + MAX_HEAD)
    if match is None:
        _refuse(explain(data, start, searched, 400))
        return None
    raw = match[0]
    if len(raw) > SMALL:
        check_size(raw, 400)
    return _read(match[1], match[2], int(match[3]), raw)


def _refuse(lines: list[bytes] | None) -> None:
    """Raise what is wrong with the lines of a head that does not match, if there are any."""
    if lines is None:
        return
    parts = _LINE.fullmatch(lines[0])
    if parts is None:
        raise MessageRefused(400, f"this is not the first line of a request: {show(lines[0])}")
    method, target, major, minor = parts.groups()
    if _METHOD.fullmatch(method) is None:
        raise MessageRefused(400, f"the method is not a token: {show(method)}")
    if (major, minor) not in {(b"1", b"0"), (b"1", b"1")}:
        raise MessageRefused(505, f"HTTP/1.0 and HTTP/1.1 are known: {show(lines[0])}")
    if len(method) > MAX_METHOD:
        raise MessageRefused(501, f"no method is longer than {MAX_METHOD} bytes: {show(method)}")
    if re.fullmatch(rb"%b++" % _TARGET, target) is None:
        raise MessageRefused(
            400, f"the target has a character that has to be encoded: {show(target)}"
        )
    raise explain_fields(lines[1:], 400)


def _read(method: bytes, target: bytes, minor: int, raw: bytes) -> RequestHead:
    """Return the head with what its fields say."""
    values = values_of(_KNOWN, raw, 400)
    host = values.get(b"host")
    if (host is None and minor) or (host is not None and _HOST.fullmatch(host) is None):
        raise MessageRefused(400, f"there is no Host, or it is none: {show(host or b'')}")
    if host is None:
        host = b""
    if target[:1] != b"/" or method == b"CONNECT":
        _check_target(method, target, host)
    if len(values) == 1 and host and minor:
        # What most requests are.
        return RequestHead(method, target, minor, host, raw)
    framing, length = read_framing(values, minor, 400) or (Framing.NONE, 0)
    if method == b"TRACE" and framing is not Framing.NONE:
        raise MessageRefused(400, "a request of TRACE has no body")
    expects_continue = minor == 1 and b"expect" in values and _read_expect(values[b"expect"])
    options, named = read_connection(values.get(b"connection", b""), 400)
    upgrade = b""
    if b"upgrade" in options and minor and not length and framing is not Framing.CHUNKED:
        upgrade = _read_upgrade(values.get(b"upgrade", b""))
    drops = [each for each in values if each in _DROPPED]
    if upgrade:
        drops.remove(b"upgrade")
    if not minor and b"expect" in values:
        drops.append(b"expect")
    return RequestHead(
        method, target, minor, host, raw, framing, length,
        keep_alive=b"close" not in options and (minor == 1 or b"keep-alive" in options),
        expects_continue=expects_continue,
        upgrade=upgrade,
        takes_trailers=minor == 1 and b"te" in values and _LISTED.search(values[b"te"]) is not None,
        binds_connection=b"authorization" in values,
        has_id=b"x-request-id" in values,
        drops=(*drops, *named),
    )  # fmt: skip


def _read_expect(value: bytes) -> bool:
    """Return that the client waits for 100 Continue; raise `MessageRefused` if it does for another
    thing."""
    if value != b"100-continue":
        raise MessageRefused(417, f"only 100-continue may be expected: {show(value)}")
    return True


def _read_upgrade(value: bytes) -> bytes:
    """Return the protocol to switch to, if it is one, and one that may be switched to."""
    is_one = _PROTOCOL.fullmatch(value) is not None
    return value if is_one and _NOT_SWITCHED.fullmatch(value) is None else b""


def _check_target(method: bytes, target: bytes, host: bytes) -> None:
    """Raise `MessageRefused` unless the target is in a form that the method may have, and names the
    host that Host names."""
    if method == b"CONNECT":
        raise MessageRefused(501, "CONNECT is not for a gateway: bind the address as tcp")
    if target[:1] == b"/" or (target == b"*" and method == b"OPTIONS"):
        return
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise MessageRefused(400, f"the target is neither a path nor of http: {show(target)}")
    if found[1].lower() != host:
        raise MessageRefused(400, f"the target is not on {show(host)}: {show(target)}")
