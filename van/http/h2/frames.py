"""Frames of HTTP/2 (RFC 9113, section 4): cut out of what comes, and appended to what goes."""

import enum
import struct
from collections.abc import Iterator
from typing import Final

from van.http.h2.faults import ConnectionFault, ErrorCode

HEADER_SIZE: Final = 9
MIN_MAX_FRAME_SIZE: Final = 16384
MAX_MAX_FRAME_SIZE: Final = (1 << 24) - 1
MAX_STREAM_ID: Final = (1 << 31) - 1

_HEADER: Final = struct.Struct(">HBBBL")
_UINT32: Final = struct.Struct(">L")


class FrameType(enum.IntEnum):
    """The kinds of frames; others are skipped."""

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9
    PRIORITY_UPDATE = 0x10
    """RFC 9218, section 7.1."""


END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY_FLAG: Final = 0x20

Frame = tuple[int, int, int, bytes, int, int]
"""Kind, flags, stream, and the payload: the bytes that hold it, its begin and its end in them."""


class FrameReader:
    """Cuts frames out of the bytes of one direction.

    What comes whole is not copied: a frame says where in the given bytes its payload is. Only the
    beginning of a frame whose end has yet to come is kept, one at the most.
    """

    def __init__(self, *, max_frame_size: int, preface: bytes = b"") -> None:
        """Take payloads of up to `max_frame_size` bytes; `preface` has to come before all
        frames."""
        self._max_frame_size = max_frame_size
        self._preface = preface
        self._rest = bytearray()

    @property
    def is_between_frames(self) -> bool:
        """Tell whether nothing of a frame is kept."""
        return not self._rest and not self._preface

    def read(self, data: bytes) -> Iterator[Frame]:
        """Return the frames that `data` completes; go through all of them before the next call.

        Raises `ConnectionFault`, on the way, if a frame is too large, or the preface another.
        """
        if self._rest or self._preface:
            return self._resume(data)
        return self._cut(data, 0)

    def _resume(self, data: bytes) -> Iterator[Frame]:
        position = self._skip_preface(data) if self._preface else 0
        if self._rest:
            position, whole = self._complete(data, position)
            if whole:
                yield from self._cut(whole, 0)
        if position < len(data):
            yield from self._cut(data, position)

    def _skip_preface(self, data: bytes) -> int:
        expected = self._preface[: len(data)]
        if not data.startswith(expected):
            raise ConnectionFault(
                ErrorCode.PROTOCOL_ERROR, "what came first is not HTTP/2's preface"
            )
        self._preface = self._preface[len(expected) :]
        return len(expected)

    def _complete(self, data: bytes, position: int) -> tuple[int, bytes]:
        """Add to the frame that is kept what it lacks, and return it if it is whole then."""
        rest = self._rest
        if (lack := HEADER_SIZE - len(rest)) > 0:
            rest += data[position : position + lack]
            position += lack
            if len(rest) < HEADER_SIZE:
                return len(data), b""
        lack = HEADER_SIZE + self._length(rest, 0) - len(rest)
        rest += data[position : position + lack]
        if len(data) - position < lack:
            return len(data), b""
        whole = bytes(rest)
        self._rest = bytearray()
        return position + lack, whole

    def _length(self, data: bytes | bytearray, position: int) -> int:
        length = int.from_bytes(data[position : position + 3], "big")
        if length > self._max_frame_size:
            text = f"a frame of {length} bytes is above the limit of {self._max_frame_size}"
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, text)
        return length

    def _cut(self, data: bytes, position: int) -> Iterator[Frame]:
        """Yield the whole frames from `position` on, and keep what is behind them."""
        size = len(data)
        unpack = _HEADER.unpack_from
        while (begin := position + HEADER_SIZE) <= size:
            high, low, kind, flags, stream_id = unpack(data, position)
            end = begin + (high << 8 | low)
            if end - begin > self._max_frame_size:
                self._length(data, position)
            if end > size:
                break
            position = end
            yield kind, flags, stream_id & MAX_STREAM_ID, data, begin, end
        if position < size:
            self._rest += data[position:]


def write_frame(
    output: bytearray,
    kind: int,
    flags: int,
    stream_id: int,
    payload: bytes | bytearray | memoryview = b"",
) -> None:
    """Append one frame to `output`."""
    length = len(payload)
    output += _HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id)
    output += payload


def write_headers(
    output: bytearray, stream_id: int, block: bytes, max_frame_size: int, *, ends: bool
) -> None:
    """Append a block of fields, as HEADERS and as many CONTINUATION as it needs."""
    flags = END_STREAM if ends else 0
    size = len(block)
    if size <= max_frame_size:
        flags |= END_HEADERS
        output += _HEADER.pack(size >> 8, size & 0xFF, FrameType.HEADERS, flags, stream_id) + block
        return
    write_frame(output, FrameType.HEADERS, flags, stream_id, block[:max_frame_size])
    for at in range(max_frame_size, len(block), max_frame_size):
        part = block[at : at + max_frame_size]
        flags = END_HEADERS if at + max_frame_size >= len(block) else 0
        write_frame(output, FrameType.CONTINUATION, flags, stream_id, part)


def write_uint32(output: bytearray, kind: int, stream_id: int, value: int) -> None:
    """Append a frame whose payload is a number: RST_STREAM or WINDOW_UPDATE."""
    write_frame(output, kind, 0, stream_id, _UINT32.pack(value))


def write_goaway(output: bytearray, last_stream_id: int, code: int, text: bytes) -> None:
    """Append GOAWAY, with `text` for people."""
    payload = _UINT32.pack(last_stream_id) + _UINT32.pack(code) + text
    write_frame(output, FrameType.GOAWAY, 0, 0, payload)
