"""What was sent last on a bundle, kept to be said again over another one. No I/O.

All that goes out on a bundle counts as one stream of bytes, from its first frame on. What is said
again has its position in that, so that whoever has it already knows.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from van.wire.bundle import MAX_REPEAT
from van.wire.channel import MAX_RECORD

MAX_TAIL: Final = 65536
"""Bytes that are kept of a bundle: many times what small flows have on their way on one. Where
there is more, all of it waits until the bundle itself gets on."""
_AROUND: Final = 22
"""Bytes that a record of TLS has around what is in it (RFC 8446, section 5.2)."""


class Tail:
    """The last that was sent, as far as the other end may not have it."""

    __slots__ = ("_end", "_on_wire", "_pieces", "_repeated")

    def __init__(self, sent: int) -> None:
        """`sent` is how many bytes have been sent before."""
        self._pieces: deque[bytes] = deque()
        self._on_wire = 0
        """How many bytes these are with what TLS has around them."""
        self._end = sent
        self._repeated = 0
        """The position up to which has been said again, and over the same other bundle."""

    def append(self, data: bytes) -> None:
        """Take note of what is sent."""
        self._pieces.append(data)
        self._on_wire += _wire_size(data)
        self._end += len(data)
        while self._on_wire > MAX_TAIL:
            self._drop_first()

    def trim(self, unheard: int) -> None:
        """Drop what the other end's system has: all but so many bytes of the connection."""
        while self._pieces and self._on_wire - _wire_size(self._pieces[0]) >= unheard:
            self._drop_first()

    def _drop_first(self) -> None:
        self._on_wire -= _wire_size(self._pieces.popleft())

    def begin_again(self) -> None:
        """Say all of it again with the next repeats: they go another way."""
        self._repeated = 0

    def repeats(self, unheard: int) -> Iterator[tuple[int, bytes]]:
        """Yield what is to be said again and has not been so far, each part with its position.

        That is nothing while less is kept than the other end may lack: what comes behind a gap is
        of no use to it.
        """
        self.trim(unheard)
        if self._on_wire < unheard:
            return
        begin = self._end - sum(map(len, self._pieces))
        data = b"".join(self._pieces)
        for position in range(max(begin, self._repeated), self._end, MAX_REPEAT):
            offset = position - begin
            yield position, data[offset : offset + MAX_REPEAT]
        self._repeated = self._end


def _wire_size(data: bytes) -> int:
    return len(data) + -(-len(data) // MAX_RECORD) * _AROUND
