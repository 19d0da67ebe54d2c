"""How the body of a message ends (RFC 9112, section 6.3), by the fields of its head."""

import enum
import re
from typing import Final

from van.http.fields import TOKEN
from van.http.h1.grammar import show
from van.http.problems import MessageRefused

MAX_DIGITS: Final = 18
"""Digits of a length: so that it is below 2**63 wherever it is read."""
_MISTAKEN: Final = (b"content_length", b"transfer_encoding")
"""What a server that hands fields on as variables, as CGI has it, can't tell from those that frame
a message."""
_CODINGS: Final = re.compile(rb"%b++(?:[ \t]*+,[ \t]*+%b++)*+" % (TOKEN, TOKEN))


class Framing(enum.Enum):
    """How the body of a message ends."""

    NONE = "none"
    """There is none."""
    LENGTH = "length"
    """After as many bytes as the head says."""
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"
    """With the connection, for answers only."""


def read_framing(values: dict[bytes, bytes], minor: int, status: int) -> tuple[Framing, int] | None:
    """Return how a body is framed and, for `Framing.LENGTH`, how long it is; None if the head says
    nothing of it.

    `values` are those of its fields by their names, in lower case, and `minor` is of its version.
    Raises `MessageRefused` unless the head says it in one way only, which everybody understands.
    """
    for name in _MISTAKEN:
        if name in values:
            raise MessageRefused(
                status, f"some servers take {name.decode()} for the one with a dash"
            )
    coding = values.get(b"transfer-encoding")
    length = values.get(b"content-length")
    if coding is None:
        return None if length is None else (Framing.LENGTH, _read_length(length, status))
    if length is not None:
        raise MessageRefused(status, "there are both Transfer-Encoding and Content-Length")
    if not minor:
        raise MessageRefused(status, "HTTP/1.0 has no Transfer-Encoding")
    _check_coding(coding, status)
    return Framing.CHUNKED, 0


def _read_length(value: bytes, status: int) -> int:
    if not value.isdigit() or len(value) > MAX_DIGITS:
        text = f"Content-Length is not 1 to {MAX_DIGITS} digits: {show(value)}"
        raise MessageRefused(status, text)
    return int(value)


def _check_coding(value: bytes, status: int) -> None:
    """Raise `MessageRefused` if a Transfer-Encoding is not chunked, and only that."""
    if value == b"chunked":
        return
    codings = re.split(rb"[ \t]*,[ \t]*", value)
    is_known_form = _CODINGS.fullmatch(value) is not None and b"chunked" not in codings[:-1]
    if status == 400 and is_known_form:
        raise MessageRefused(501, f"no transfer coding but chunked is known: {show(value)}")
    raise MessageRefused(status, f"Transfer-Encoding is not chunked, once: {show(value)}")
