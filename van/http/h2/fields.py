"""What a section of fields means, and whether it may be so (RFC 9113, sections 8.2 and 8.3)."""

import re
from typing import Final

from van.http.fields import MAX_METHOD, TOKEN
from van.http.h2.decoder import Section
from van.http.h2.faults import MalformedMessage
from van.http.message import Fields, Request, Response, with_one_cookie
from van.http.problems import MessageRefused

_NAME: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_VALUE: Final = bytes([9, *range(32, 127), *range(128, 256)])
_SPACED: Final = (b"\n ", b"\n\t", b" \n", b"\t\n")
"""What is between values, each on a line, if one begins or ends with a space or a tab."""
_METHOD: Final = re.compile(rb"%b{1,%d}" % (TOKEN, MAX_METHOD))
_PATH: Final = re.compile(rb"/[!$-;=?-~]*")
"""What is visible, but the quotation mark, `#`, `<`, and `>`, which no URL has."""
_AUTHORITY: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[0-9A-Za-z\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::[0-9]{0,5})?"
)
_STATUS: Final = re.compile(rb"[1-5][0-9][0-9]")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_REQUEST: Final = frozenset({b":method", b":scheme", b":path", b":authority"})
_OF_NO_TRAILERS: Final = frozenset({b"content-length", b"host", b"te"})
"""They say how the message is to be read, for which it is too late (RFC 9110, section 6.5.1)."""
_LOOKALIKE: Final = frozenset({b"content_length", b"transfer_encoding"})
"""Names that servers which make variables of fields take for those that frame a message."""
_OF_HTTP_1: Final = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
    }
)
_FORBIDDEN: Final = _OF_HTTP_1 | _LOOKALIKE
_SPECIAL: Final = _FORBIDDEN | _OF_NO_TRAILERS


def read_request(section: Section) -> Request:
    """Return the request that a section is, and note its content-length in the section.

    Raises `MalformedMessage`, and `MessageRefused` for CONNECT.
    """
    if section.head is None:
        pseudo, fields = _split(section.fields)
        host, section.expected = _check(fields)
        section.head = _request(pseudo, fields, host, section.never_indexed)
    head: Request = section.head
    return head


def read_response(section: Section) -> Response:
    """Return the response that a section is, and note its content-length in the section.

    Raises `MalformedMessage`.
    """
    if section.head is None:
        pseudo, fields = _split(section.fields)
        _, section.expected = _check(fields)
        status = pseudo.pop(b":status", b"")
        if pseudo or not _STATUS.fullmatch(status):
            raise MalformedMessage(
                "a response needs one :status of three digits, and nothing like it"
            )
        if status == b"101":
            raise MalformedMessage("a response of 101 can't be in HTTP/2")
        section.head = Response(int(status), fields, section.never_indexed)
    head: Response = section.head
    return head


def read_trailers(section: Section) -> Fields:
    """Return the trailers that a section is; raises `MalformedMessage`."""
    if section.trailers is None:
        _check(section.fields)
        for name, _ in section.fields:
            if name in _OF_NO_TRAILERS:
                raise MalformedMessage(f"{name.decode()} is among trailers")
        section.trailers = section.fields
    return section.trailers


def check_fields(fields: Fields) -> None:
    """Raise `MalformedMessage` unless these, without pseudo-fields, may be in a message of
    HTTP/2."""
    _check(fields)


def _split(fields: Fields) -> tuple[dict[bytes, bytes], Fields]:
    count = 0
    for name, _ in fields:
        if name[:1] != b":":
            break
        count += 1
    pseudo = dict(fields[:count])
    if len(pseudo) != count:
        raise MalformedMessage("a pseudo-field is there twice")
    return pseudo, fields[count:]


def _request(
    pseudo: dict[bytes, bytes], fields: Fields, host: bytes | None, never_indexed: frozenset[bytes]
) -> Request:
    if not pseudo.keys() <= _REQUEST:
        raise MalformedMessage("a request has a pseudo-field that none may have")
    method = pseudo.get(b":method", b"")
    if not _METHOD.fullmatch(method):
        raise MalformedMessage("a request needs one :method, a token")
    if method == b"CONNECT":
        raise MessageRefused(501, "CONNECT asks for a tunnel: expose the address as tcp")
    scheme = pseudo.get(b":scheme", b"")
    if scheme not in {b"http", b"https"}:
        raise MalformedMessage("a request needs one :scheme, http or https")
    path = pseudo.get(b":path", b"")
    if not _PATH.fullmatch(path) and not (path == b"*" and method == b"OPTIONS"):
        raise MalformedMessage("a request needs one :path that begins with a slash")
    authority = pseudo.get(b":authority", host)
    if authority is None or not _AUTHORITY.fullmatch(authority):
        raise MalformedMessage("a request needs an :authority, or Host, of a name and a port")
    if host is not None:
        if host.lower() != authority.lower():
            raise MalformedMessage("Host and :authority of a request differ")
        fields = tuple(field for field in fields if field[0] != b"host")
    return Request(method, scheme, authority, path, with_one_cookie(fields), never_indexed)


def _check(fields: Fields) -> tuple[bytes | None, int | None]:
    """Return Host and content-length, or None for each; raise `MalformedMessage`."""
    if not fields:
        return None, None
    names = [name for name, _ in fields]
    if b"".join(names).translate(None, _NAME) or b"" in names:
        bad = next(name for name in names if not name or name.translate(None, _NAME))
        raise MalformedMessage(f"{bad[:64]!r} is no name of a field in HTTP/2, or not there")
    values = b"\n".join([b"", *[value for _, value in fields], b""])
    is_spaced = any(edge in values for edge in _SPACED)
    if is_spaced or len(values.translate(None, _VALUE)) != len(fields) + 1:
        bad = next(name for name, value in fields if not _is_value(value))
        raise MalformedMessage(f"the value of {bad[:64].decode()} has a byte that none may have")
    if _SPECIAL.isdisjoint(names):
        return None, None
    return _check_special(fields)


def _is_value(value: bytes) -> bool:
    return not value.translate(None, _VALUE) and value == value.strip(b" \t")


def _check_special(fields: Fields) -> tuple[bytes | None, int | None]:
    host = length = None
    for name, value in fields:
        if name not in _SPECIAL:
            continue
        if name in _FORBIDDEN:
            raise MalformedMessage(f"{name.decode()} is for a connection of HTTP/1 only")
        if name == b"te" and value.lower() != b"trailers":
            raise MalformedMessage("te may only say trailers")
        if name == b"host":
            if host is not None:
                raise MalformedMessage("host is there twice")
            host = value
        elif name == b"content-length":
            if length is not None or not _LENGTH.fullmatch(value):
                raise MalformedMessage("content-length is there twice, or not up to 18 digits")
            length = int(value)
    return host, length
