"""The body of a message: which of the bytes that come are of it, and where it ends.

A body keeps nothing but the beginning of a line that is not whole, so that it may be of any size.
"""

import re
from typing import Final, Protocol

from van.http.fields import MAX_FIELDS, MAX_TRAILERS, NOT_IN_TRAILERS, TEXT, TOKEN
from van.http.h1.framing import Framing
from van.http.h1.grammar import CONTROL, END, FIELDS, explain_fields, show
from van.http.problems import MessageRefused

Data = bytes | memoryview
MAX_LINE: Final = 1024
"""Bytes of a line between chunks: extensions are few and small, and nobody needs them."""
MAX_EXCESS: Final = 16 * 1024
"""Bytes that extensions may take altogether beyond those of the chunks they are on: else a client
could make much work of little."""

_EXTENSION: Final = rb";%b++(?:=(?:%b++|\"(?:[\t !#-[\]-~\x80-\xff]|\\%b)*+\"))?+" % (
    TOKEN, TOKEN, TEXT,
)  # fmt: skip
_SIZE: Final = rb"([0-9A-Fa-f]{1,8}+)((?:%b)*+)\r\n" % _EXTENSION
_FIRST: Final = re.compile(_SIZE)
_NEXT: Final = re.compile(rb"\r\n" + _SIZE)
_FIRST_BEGUN: Final = re.compile(rb"(?:[0-9A-Fa-f]{1,8}+(?:;%b*+)?+\r?+)?+" % TEXT)
_NEXT_BEGUN: Final = re.compile(rb"\r?+|\r\n(?:[0-9A-Fa-f]{1,8}+(?:;%b*+)?+\r?+)?+" % TEXT)
"""What may yet become a whole line."""
_TRAILERS: Final = re.compile(rb"%b\r\n" % FIELDS)
_NAME: Final = re.compile(rb"(?:^|\n)([^:\r\n]++):")
_NO_MORE: Final = b"\r\n"


class Body(Protocol):
    """A body that is coming. Not thread-safe: it belongs to whoever reads the message."""

    is_over: bool
    """Whether all of it has come."""

    def feed(self, data: Data, start: int = 0, payload: list[memoryview] | None = None) -> int:
        """Take what has come, from `start` on; return where in it the body's part ends.

        What a body is framed by is of it. The payload alone is added to a list, if one is given, as
        views of the data. Raises `MessageRefused` for what does not belong there.
        """

    def end(self) -> None:
        """Take note that no more will come; raise `MessageRefused` if the body is not whole."""


def body_of(framing: Framing, length: int, status: int) -> Body:
    """Return the body of a message by what its head says; `status` is for refusals."""
    if framing is Framing.CHUNKED:
        return ChunkedBody(status)
    if framing is Framing.UNTIL_CLOSE:
        return UnboundedBody()
    return LengthBody(length, status)


class LengthBody:
    """A body of so many bytes, or none."""

    __slots__ = ("_left", "_status", "is_over")

    def __init__(self, length: int, status: int) -> None:
        self._left = length
        self._status = status
        self.is_over = not length

    def feed(self, data: Data, start: int = 0, payload: list[memoryview] | None = None) -> int:
        """Take as many bytes as are missing."""
        end = min(len(data), start + self._left)
        self._left -= end - start
        self.is_over = not self._left
        if payload is not None and end > start:
            payload.append(memoryview(data)[start:end])
        return end

    def end(self) -> None:
        """Raise `MessageRefused` unless all has come."""
        if self._left:
            raise MessageRefused(self._status, f"{self._left} bytes of a body are missing")


class UnboundedBody:
    """A body that ends with its connection."""

    __slots__ = ("is_over",)

    def __init__(self) -> None:
        self.is_over = False

    def feed(self, data: Data, start: int = 0, payload: list[memoryview] | None = None) -> int:
        """Take all."""
        if payload is not None and start < len(data):
            payload.append(memoryview(data)[start:])
        return len(data)

    def end(self) -> None:
        """Take note that this was all."""
        self.is_over = True


class ChunkedBody:
    """A body in chunks, with trailers behind them (RFC 9112, section 7.1)."""

    __slots__ = ("_excess", "_held", "_is_last", "_left", "_line", "_status", "is_over", "trailers")

    def __init__(self, status: int) -> None:
        self._status = status
        self._line = _FIRST
        """What the next line between chunks looks like."""
        self._left = 0
        """Bytes that are missing of the chunk."""
        self._is_last = False
        """Whether the last chunk has come, and trailers follow."""
        self._held = b""
        """The beginning of a line, or of trailers, that has been taken already."""
        self._excess = 0
        self.is_over = False
        self.trailers = b""
        """The lines of trailers, once the body is over."""

    def feed(self, data: Data, start: int = 0, payload: list[memoryview] | None = None) -> int:
        """Take chunks, and trailers after the last one."""
        position, size = start, len(data)
        while position < size and not self.is_over:
            if self._left:
                end = min(size, position + self._left)
                self._left -= end - position
                if payload is not None:
                    payload.append(memoryview(data)[position:end])
                position = end
            elif self._is_last:
                position = self._take_trailers(data, position)
            else:
                position = self._take_line(data, position)
        return position

    def end(self) -> None:
        """Raise `MessageRefused` unless the last chunk has come, and the trailers."""
        if not self.is_over:
            raise MessageRefused(self._status, "a chunked body is not whole")

    def _take_line(self, data: Data, start: int) -> int:
        """Take the line before a chunk, with the end of the chunk before it."""
        held = self._held
        if held:
            data = held + data[start : start + MAX_LINE]
            found = self._line.match(data, 0, MAX_LINE)
        else:
            found = self._line.match(data, start, start + MAX_LINE)
        if found is None:
            self._hold(bytes(data[0 if held else start :][: MAX_LINE + 1]))
            return start + len(self._held) - len(held)
        self._held = b""
        self._left = int(found[1], 16)
        self._is_last = not self._left
        self._line = _NEXT
        if found[2]:
            self._count(len(found[2]))
        elif self._excess:
            self._excess = max(0, self._excess - self._left)
        return found.end() - len(held) + (start if held else 0)

    def _hold(self, line: bytes) -> None:
        """Keep the beginning of a line, if it may become a whole one."""
        begun = _FIRST_BEGUN if self._line is _FIRST else _NEXT_BEGUN
        if len(line) > MAX_LINE:
            raise MessageRefused(self._status, f"a chunk's line is larger than {MAX_LINE} bytes")
        if begun.fullmatch(line) is None:
            raise MessageRefused(self._status, f"this is not a chunk's line: {show(line)}")
        self._held = line

    def _count(self, size: int) -> None:
        """Take note of a chunk with extensions of so many bytes."""
        self._excess = max(0, self._excess + size - self._left)
        if self._excess > MAX_EXCESS:
            raise MessageRefused(self._status, "extensions of chunks are larger than the chunks")

    def _take_trailers(self, data: Data, start: int) -> int:
        """Take trailers, and the empty line behind them."""
        held = self._held
        text = held + data[start : start + MAX_TRAILERS + len(_NO_MORE) - len(held)]
        found = _TRAILERS.match(text)
        if found is None:
            self._held = self._unfinished(text)
            return start + len(text) - len(held)
        self.trailers = text[: found.end() - len(_NO_MORE)]
        if self.trailers:
            self._check(self.trailers)
        self._held = b""
        self.is_over = True
        return start + found.end() - len(held)

    def _unfinished(self, text: bytes) -> bytes:
        """Return the text of trailers that do not match, if more of it is to come."""
        found = CONTROL.search(text)
        if found is not None:
            raise MessageRefused(self._status, f"trailers have {show(found[0])} in them")
        if text.startswith(_NO_MORE) or END in text:
            raise explain_fields(text.partition(END)[0].split(b"\r\n"), self._status)
        if len(text) >= MAX_TRAILERS + len(_NO_MORE):
            raise MessageRefused(self._status, f"trailers are larger than {MAX_TRAILERS} bytes")
        return text

    def _check(self, trailers: bytes) -> None:
        names = _NAME.findall(trailers.lower())
        if len(names) > MAX_FIELDS:
            raise MessageRefused(self._status, f"there are more than {MAX_FIELDS} trailers")
        for name in names:
            if name in NOT_IN_TRAILERS:
                raise MessageRefused(self._status, f"{show(name)} may not be in trailers")
