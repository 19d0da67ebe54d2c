"""The head of an answer (RFC 9112, section 4): parsing it."""

import re
from typing import Final

import msgspec

from van.http.fields import HOP_BY_HOP, MAX_HEAD, TEXT
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
from van.http.semantics import SWITCHING, has_no_content

BAD: Final = 502
"""What a client is told of an answer that is none."""
_HEAD: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: (%b*+))?+\r\n%b\r\n" % (TEXT, FIELDS)
)
_KNOWN: Final = re.compile(
    rb"\r\n(con(?:nection|tent[-_]length)|http2-settings|keep-alive"
    rb"|proxy-(?:authenticate|authorization|connection)|t(?:e|ransfer[-_]encoding)|upgrade"
    rb"|www-authenticate(?=:[^\r]*(?:ntlm|negotiate))):([^\r]*)"
)
"""Fields that mean something here, in a head in lower case."""
_DROPPED: Final = HOP_BY_HOP - {b"transfer-encoding"}
_TIMEOUT: Final = re.compile(rb"(?:^|,)[ \t]*+timeout[ \t]*+=[ \t]*+\"?([0-9]{1,6}+)")


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """The head of an answer, checked; of an interim one, too."""

    status: int
    reason: bytes
    minor: int
    """Of the version, HTTP/1.0 or 1.1."""
    raw: bytes
    """The bytes as they came, to the end of the empty line."""
    framing: Framing
    length: int
    """Bytes of the body, for `Framing.LENGTH`."""
    keep_alive: bool
    """Whether the target would take another request on its connection."""
    idle_timeout: int | None
    """For how many seconds it waits for one, if it says so in Keep-Alive."""
    upgrade: bytes
    """What the connection is switched to, in lower case, for the status 101."""
    drops: tuple[bytes, ...]
    """Fields that are not passed on, in lower case."""


def parse_response(
    data: bytes, method: bytes, start: int = 0, *, searched: int = 0
) -> ResponseHead | None:
    """Return the head of the answer that begins at `start`, or None if more of it is to come.

    `method` is that of the request. Of the bytes from `start` on, `searched` were there the last
    time. Raises `MessageRefused` with the status 502, for some faults before the head is whole.
    """
    match = None
    if not searched or is_whole(data, start, searched):
        match = _HEAD.match(data, start, start + MAX_HEAD)
    if match is None:
        lines = explain(data, start, searched, BAD)
        if lines is not None:
            raise _refusal(lines)
        return None
    raw = match[0]
    if len(raw) > SMALL:
        check_size(raw, BAD)
    return _read(method, int(match[2]), match[3] or b"", int(match[1]), raw)


def _refusal(lines: list[bytes]) -> MessageRefused:
    """Return what is wrong with the lines of a head that does not match."""
    if _HEAD.fullmatch(lines[0] + b"\r\n\r\n") is None:
        text = f"this is not the first line of an answer: {show(lines[0])}"
        return MessageRefused(BAD, text)
    return explain_fields(lines[1:], BAD)


def _read(method: bytes, status: int, reason: bytes, minor: int, raw: bytes) -> ResponseHead:
    """Return the head with what its fields say."""
    values = values_of(_KNOWN, raw, BAD)
    stated = read_framing(values, minor, BAD)
    framing, length = stated or (Framing.UNTIL_CLOSE, 0)
    drops: tuple[bytes, ...] = ()
    if has_no_content(status, method):
        if (status < 200 or status == 204) and stated is not None:
            if length or framing is Framing.CHUNKED:
                raise MessageRefused(BAD, f"an answer of status {status} has a body")
            drops = (b"content-length",)
        framing, length = Framing.NONE, 0
    keep_alive, idle_timeout, upgrade = minor == 1, None, b""
    if len(values) > (stated is not None):
        options, named = read_connection(values.get(b"connection", b""), BAD)
        keep_alive = b"close" not in options and (minor == 1 or b"keep-alive" in options)
        if b"www-authenticate" in values:
            # It authenticates the connection, on which no other client may follow (RFC 4559).
            keep_alive = False
        found = _TIMEOUT.search(values.get(b"keep-alive", b""))
        idle_timeout = None if found is None else int(found[1])
        if status == SWITCHING and b"upgrade" in options:
            upgrade = values.get(b"upgrade", b"")
        dropped = [
            each for each in values if each in _DROPPED and not (upgrade and each == b"upgrade")
        ]
        drops = (*drops, *dropped, *named)
    return ResponseHead(
        status, reason, minor, raw, framing, length, keep_alive, idle_timeout, upgrade, drops
    )
