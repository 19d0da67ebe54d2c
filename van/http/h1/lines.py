"""Heads and trailers of HTTP/1 as fields, and fields as heads: for who says a message in another
version.

Nothing is checked here. Heads were when they were parsed, and fields have to be such that HTTP/1
can say them.
"""

import re
from collections.abc import Iterable
from typing import Final

from van.http.h1.request import RequestHead
from van.http.h1.response import ResponseHead
from van.http.semantics import REASONS

Field = tuple[bytes, bytes]

_LINE: Final = re.compile(rb"([^:\r\n]++):[ \t]*+([^\r]*+)\r\n")


def fields_of(head: RequestHead | ResponseHead) -> list[Field]:
    """Return the fields of a head as they are written, those for this hop too."""
    return split_lines(head.raw[head.raw.index(b"\n") + 1 :])


def split_lines(lines: bytes) -> list[Field]:
    """Return the fields of lines, such as the trailers of a body, as they are written."""
    return [(name, value.rstrip(b" \t")) for name, value in _LINE.findall(lines)]


def write_request(method: bytes, target: bytes, fields: Iterable[Field]) -> bytes:
    """Return the head of a request of HTTP/1.1; Host is one of the fields, and so is what frames
    its body."""
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, join_lines(fields))


def write_response(status: int, fields: Iterable[Field]) -> bytes:
    """Return the head of an answer of HTTP/1.1; what frames its body is one of the fields."""
    reason = REASONS.get(status, "").encode()
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, join_lines(fields))


def write_trailers(fields: Iterable[Field]) -> bytes:
    """Return the end of a chunked body: the last chunk, and trailers."""
    return b"0\r\n%b\r\n" % join_lines(fields)


def join_lines(fields: Iterable[Field]) -> bytes:
    """Return fields as lines."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])
