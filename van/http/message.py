"""Messages of HTTP (RFC 9110), whichever version carries them, and how one version says the
other's.

Names of fields are in lower case, in the order in which they came. What says in one version only
where a message goes or ends (Host, Connection, Transfer-Encoding) is no field of these: it is taken
away by who reads a message, and put back by who writes it. A body's end is known by other means.
"""

from collections.abc import Iterable

import msgspec

from van.http.fields import END_TO_END, HOP_BY_HOP
from van.http.problems import MessageRefused
from van.http.semantics import SWITCHING

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]


class Request(msgspec.Struct, frozen=True, gc=False):
    """The head of a request."""

    method: bytes
    scheme: bytes
    authority: bytes
    """Whom it is for, as `host` or `host:port`; empty if HTTP/1.0 did not say."""
    target: bytes
    """Path and query as they came, never decoded, or `*`."""
    fields: Fields = ()
    never_indexed: frozenset[bytes] = frozenset()
    """Names of fields that the sender kept out of tables, as has to be done on the way as well
    (RFC 7541, section 7.1.3)."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """The head of a response; one with a status below 200 has another behind it."""

    status: int
    fields: Fields = ()
    never_indexed: frozenset[bytes] = frozenset()

    @property
    def is_final(self) -> bool:
        """Tell whether this is the answer, and no word before it."""
        return self.status >= 200


def request_from_h1(
    method: bytes, target: bytes, fields: Iterable[Field], *, scheme: bytes = b"http"
) -> Request:
    """Return what a checked head of HTTP/1 asks for; names of `fields` may be in any case.

    `scheme` is that of the connection; a target in absolute form has its own, and its authority
    counts (RFC 9112, section 3.2.2). Upgrade is left out, as a server may ignore it. Raises
    `MessageRefused` for CONNECT.
    """
    if method == b"CONNECT":
        raise MessageRefused(501, "CONNECT asks for a tunnel: expose the address as tcp")
    lowered = [(name.lower(), value) for name, value in fields]
    authority = next((value for name, value in lowered if name == b"host"), b"")
    if not target.startswith(b"/") and target != b"*":
        scheme, authority, target = _split_absolute(target)
    kept = without_hop_by_hop(lowered)
    return Request(method, scheme, authority, target, tuple(f for f in kept if f[0] != b"host"))


def request_to_h1(request: Request) -> tuple[bytes, bytes, Fields]:
    """Return method, target, and fields, Host first, for a head of HTTP/1.1.

    Content-Length is among the fields if the length is known. If not, and the request has a body,
    its writer adds Transfer-Encoding.
    """
    fields = tuple(field for field in request.fields if field[0] != b"te")
    return request.method, request.target, ((b"host", request.authority), *fields)


def response_from_h1(status: int, fields: Iterable[Field]) -> Response:
    """Return what a checked head of HTTP/1 answers; names of `fields` may be in any case.

    Raises `MessageRefused` for 101, behind which another protocol begins.
    """
    if status == SWITCHING:
        raise MessageRefused(502, "101 changes the protocol, which HTTP/2 can't for one stream")
    kept = without_hop_by_hop((name.lower(), value) for name, value in fields)
    return Response(status, tuple(kept))


def without_hop_by_hop(fields: Iterable[Field]) -> list[Field]:
    """Return the fields, with names in lower case, that are meant for who is further on.

    Left out are those that are for this hop, and those that Connection names, unless the message
    would be another one without them. Of TE remains that trailers are welcome, without which no
    server of gRPC answers.
    """
    fields = list(fields)
    named = {
        option.strip(b" \t").lower()
        for name, value in fields
        if name == b"connection"
        for option in value.split(b",")
    }
    gone = HOP_BY_HOP | (named - END_TO_END)
    kept = [field for field in fields if field[0] not in gone]
    if any(name == b"te" and _takes_trailers(value) for name, value in fields):
        kept.append((b"te", b"trailers"))
    return kept


def with_one_cookie(fields: Fields) -> Fields:
    """Return the fields with all crumbs of Cookie in one, where the first one was.

    HTTP/2 may split the field, and no other version may (RFC 9113, section 8.2.3).
    """
    crumbs = [value for name, value in fields if name == b"cookie"]
    if len(crumbs) < 2:
        return fields
    first = next(at for at, (name, _) in enumerate(fields) if name == b"cookie")
    rest = [field for field in fields[first:] if field[0] != b"cookie"]
    return (*fields[:first], (b"cookie", b"; ".join(crumbs)), *rest)


def _takes_trailers(value: bytes) -> bool:
    return any(part.strip(b" \t").lower() == b"trailers" for part in value.split(b","))


def _split_absolute(target: bytes) -> tuple[bytes, bytes, bytes]:
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in {b"http", b"https"}:
        raise MessageRefused(
            400, f"a request's target {target[:64]!r} is neither a path nor a URL of HTTP"
        )
    cut = min((at for at in map(rest.find, (b"/", b"?")) if at >= 0), default=len(rest))
    path = rest[cut:]
    return scheme.lower(), rest[:cut], path if path.startswith(b"/") else b"/" + path
