"""What is passed on of a head: the bytes as they came, without the lines that were for this hop,
and with those that are put in (RFC 9110, section 7.6).

Lines to put in are given as bytes, each with its end of line.
"""

from typing import Final

from van.http.h1.lines import join_lines
from van.http.h1.request import RequestHead
from van.http.h1.response import ResponseHead
from van.http.problems import Problem
from van.http.semantics import REASONS

VIA: Final = (b"Via: 1.0 van\r\n", b"Via: 1.1 van\r\n")
"""By the minor version in which the message came (section 7.6.3)."""
CLOSE: Final = b"Connection: close\r\n"
KEEP_ALIVE: Final = b"Connection: keep-alive\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
_UPGRADE: Final = b"Connection: Upgrade\r\n"
_TRAILERS: Final = b"Connection: TE\r\nTE: trailers\r\n"
_SCHEME: Final = len(b"http://")


def forward_request(head: RequestHead, lines: bytes = b"") -> bytes:
    """Return the head that is passed on, in the version in which it came."""
    raw = head.raw
    if head.drops:
        raw = _without(raw, head.drops)
    if head.target[:1] not in {b"/", b"*"}:
        raw = raw.replace(head.target, path_of(head), 1)
    if head.upgrade:
        lines += _UPGRADE
    elif head.takes_trailers:
        lines += _TRAILERS
    elif not head.minor:
        lines += KEEP_ALIVE
    return b"".join((memoryview(raw)[:-2], lines, b"\r\n")) if lines else raw


def path_of(head: RequestHead) -> bytes:
    """Return the target as a server is asked for it that is no proxy (RFC 9112, section 3.2.1)."""
    target = head.target
    if target[:1] in {b"/", b"*"}:
        return target
    rest = target[_SCHEME + len(head.host) :]
    if not rest and head.method == b"OPTIONS":
        return b"*"
    return rest if rest[:1] == b"/" else b"/" + rest


def forward_response(head: ResponseHead, lines: bytes = b"") -> bytes:
    """Return the head that is passed on, as one of HTTP/1.1."""
    raw = head.raw
    if head.drops:
        raw = _without(raw, head.drops)
    if head.upgrade:
        lines += _UPGRADE
    if not head.minor:
        raw = b"HTTP/1.1" + raw[8:]
    return b"".join((memoryview(raw)[:-2], lines, b"\r\n")) if lines else raw


def forwarded_for(site: str) -> bytes:
    """Return the line that says from which site a request is (RFC 7239, section 6.3): a name that
    was verified, in lower case."""
    return b"Forwarded: for=_%b\r\n" % site.encode("ascii")


def _without(raw: bytes, names: tuple[bytes, ...]) -> bytes:
    """Return a head without the fields of these names."""
    lower = raw.lower()
    for name in names:
        line = b"\r\n%b:" % name
        start = lower.find(line)
        while start >= 0:
            end = lower.index(b"\r\n", start + 2)
            raw = raw[:start] + raw[end:]
            lower = lower[:start] + lower[end:]
            start = lower.find(line, start)
    return raw


def chunk(data: bytes | memoryview) -> bytes:
    """Return data, which is not empty, as a chunk."""
    return b"".join((b"%x\r\n" % len(data), data, b"\r\n"))


def encode_problem(problem: Problem, lines: bytes = b"", *, is_head: bool = False) -> bytes:
    """Return the answer that tells of a problem; one to HEAD has no body."""
    body = problem.body
    return b"HTTP/1.1 %d %b\r\n%bContent-Length: %d\r\n%b\r\n%b" % (
        problem.status,
        REASONS[problem.status].encode(),
        join_lines(problem.fields()),
        len(body),
        lines,
        b"" if is_head else body,
    )
