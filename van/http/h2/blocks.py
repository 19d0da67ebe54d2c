"""HEADERS and CONTINUATION (RFC 9113, sections 6.2, 6.10, and 4.3): blocks out of their frames."""

from typing import Final

from van.http.h2.faults import ConnectionFault, ErrorCode, protocol_error
from van.http.h2.frames import END_HEADERS, PADDED, PRIORITY_FLAG

_MAX_CONTINUATIONS: Final = 16
"""Frames that a block may have behind its first one: the largest fits into four of the least
size."""
_BLOCK_TO_HEAD: Final = 2
"""How many times the limit of a head its block may have. A head in between is answered by 431;
above, the connection ends, as all of it would have to be decoded to keep tables in step."""
_PRIORITY_SIZE: Final = 5


class Blocks:
    """Puts the blocks of one connection together, one at a time. Not thread-safe."""

    def __init__(self, *, max_head_size: int) -> None:
        self._most = max_head_size * _BLOCK_TO_HEAD
        self.is_incomplete = False
        """Whether a block has begun of which CONTINUATION has to come next; no property, as each
        frame asks."""
        self._block = bytearray()
        self._stream_id = 0
        self._first_flags = 0
        self._continuations = 0

    def headers(self, flags: int, stream_id: int, payload: bytes) -> bytes | None:
        """Take HEADERS, and return the block if that is all of it.

        Raises `ConnectionFault` if it is not well formed, or too large.
        """
        if stream_id == 0:
            raise protocol_error("HEADERS is on stream 0")
        if flags & PADDED:
            payload = bytes(without_padding(memoryview(payload)))
        if flags & PRIORITY_FLAG:
            if len(payload) < _PRIORITY_SIZE:
                text = "HEADERS is too short for its priority"
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, text)
            payload = payload[_PRIORITY_SIZE:]
        self._check_size(payload)
        if flags & END_HEADERS:
            return payload
        self.is_incomplete = True
        self._block = bytearray(payload)
        self._stream_id = stream_id
        self._first_flags = flags
        self._continuations = 0
        return None

    def continuation(self, flags: int, stream_id: int, payload: bytes) -> tuple[bytes | None, int]:
        """Take CONTINUATION, and return the block, if it is whole, and the flags of its HEADERS."""
        block = self._block
        if not self.is_incomplete or stream_id != self._stream_id:
            raise protocol_error("CONTINUATION is not behind HEADERS of its stream")
        block += payload
        self._continuations += 1
        if self._continuations > _MAX_CONTINUATIONS:
            text = f"a block of fields has more than {_MAX_CONTINUATIONS} CONTINUATIONs"
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, text)
        self._check_size(block)
        if not flags & END_HEADERS:
            return None, 0
        self.is_incomplete = False
        self._block = bytearray()
        return bytes(block), self._first_flags

    def _check_size(self, block: bytes | bytearray) -> None:
        if len(block) > self._most:
            text = f"a block of fields is above {self._most} bytes"
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, text)


def without_padding(payload: memoryview) -> memoryview:
    """Return what a padded frame holds; raise `ConnectionFault` if it is shorter than said."""
    if not payload:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a padded frame is empty")
    padding = payload[0]
    if padding >= len(payload):
        raise protocol_error("the padding of a frame is longer than the frame")
    return payload[1 : len(payload) - padding]
