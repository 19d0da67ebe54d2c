"""How much of a flow may be on its way: credit by offsets, as in QUIC (RFC 9000, section 4).

The bytes of a flow in one direction count from its first one. Who receives them says up to which
offset his program has *taken* them, and up to which, the *limit*, he will take more; both only
grow. So a program that does not read holds up its own flow, and nobody else's. What one of these
words acknowledges is as good as delivered, and the sender need not keep it.
"""

import struct
from typing import Final

from van.errors import RemoteProtocolError

WINDOW: Final = 65536
"""Bytes that may be sent of a flow before any credit has come."""
MUCH: Final = WINDOW // 4
"""Bytes on their way of a flow that is more than questions and answers."""
BULK_AFTER: Final = 4
"""Words in a row: 128 kB."""
CREDIT: Final = struct.Struct("!QQ")
"""The payload of a CREDIT frame: the taken offset, and the limit."""
_DUE: Final = WINDOW // 2
"""Bytes taken since the last word of it, after which there is one: most of a window is left then,
so that the sender need not pause where the path is short."""


class FlowCredit:
    """One end's view of both directions of one flow. Not thread-safe.

    Sending: ask `room`, and tell `sent`; what the other end says of it comes by `receive_credit`.
    Receiving: tell `received` of what has come, and `took` of what the program has taken, which
    says whether to send `credit`; or `passed` of what the program has taken as it came.
    """

    __slots__ = (
        "_limit", "_limit_here", "_received", "_streak", "_taken", "_taken_there", "_told", "room",
    )  # fmt: skip

    def __init__(self) -> None:
        self.room = WINDOW
        """How many bytes may be sent now; no property, as each message asks. Who sends no more than
        that may take it from here as well, instead of telling `sent`."""
        self._limit = WINDOW
        self._taken_there = 0
        self._streak = 0
        """How many times in a row much was on its way when there was a word of what was taken."""
        self._received = 0
        self._taken = 0
        self._told = 0
        self._limit_here = WINDOW

    @property
    def unacknowledged(self) -> int:
        """Return how many bytes were sent that the other end's program is not known to have."""
        return self._limit - self.room - self._taken_there

    @property
    def untaken(self) -> int:
        """Return how many bytes have come that the program here has not taken."""
        return self._received - self._taken

    def sent(self, count: int) -> None:
        """Take note of so many bytes that go out; raise `AssertionError` if they must not."""
        self.room -= count
        if self.room < 0:
            raise AssertionError(f"{-self.room} bytes were sent without credit")

    def receive_credit(self, payload: bytes | memoryview) -> None:
        """Take what the other end says; raise `RemoteProtocolError` if that can't be."""
        if len(payload) != CREDIT.size:
            raise RemoteProtocolError(f"a credit of {len(payload)} bytes is not {CREDIT.size}")
        taken, limit = CREDIT.unpack(payload)
        sent = self._limit - self.room
        if taken < self._taken_there or limit < self._limit:
            raise RemoteProtocolError("a credit goes back")
        if taken > sent:
            raise RemoteProtocolError(f"{taken} bytes were taken of {sent} that were sent")
        if limit < taken:
            raise RemoteProtocolError(f"the limit {limit} is below what was taken, {taken}")
        self._taken_there, self._limit, self.room = taken, limit, limit - sent
        self._streak = self._streak + 1 if self.unacknowledged >= MUCH else 0

    def is_bulk(self) -> bool:
        """Tell whether what is sent is bulk: more than is soon through has been on its way for
        `BULK_AFTER` words in a row. It is told once for as many."""
        if self._streak < BULK_AFTER:
            return False
        self._streak = 0
        return True

    def received(self, count: int) -> None:
        """Take note of so many bytes that have come; raise `RemoteProtocolError` if they are more
        than there was credit for."""
        self._received += count
        if self._received > self._limit_here:
            more = self._received - self._limit_here
            raise RemoteProtocolError(f"{more} bytes came that there was no credit for")

    def took(self, count: int) -> bool:
        """Take note of so many bytes that the program has taken; tell whether to send `credit`."""
        self._taken += count
        return self._taken - self._told >= _DUE

    def passed(self, count: int) -> bool:
        """Do as `received` and `took` do, one after the other."""
        self._received = received = self._received + count
        if received > self._limit_here:
            self.received(0)
        self._taken = taken = self._taken + count
        return taken - self._told >= _DUE

    def credit(self) -> bytes:
        """Return the payload of a CREDIT frame that says how it stands; it has to be sent."""
        self._told = self._taken
        self._limit_here = max(self._limit_here, self._taken + WINDOW)
        return CREDIT.pack(self._taken, self._limit_here)
