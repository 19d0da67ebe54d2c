"""HPACK, the sending end (RFC 7541): fields become blocks of bytes.

A field goes into the table when it comes for the second time, so that what differs from message to
message leaves the table as it is. While it is, what was made of a field or a whole list of fields
is still right, and is not made again. What goes into the table is Huffman-coded, once; what does
not goes as it is, as the code would cost more time here than bytes on the way.
"""

from typing import Final

from van.http.h2.huffman import huffman_encode
from van.http.h2.static_table import (
    DEFAULT_TABLE_SIZE,
    FIRST_DYNAMIC,
    STATIC_TABLE,
    entry_size,
)
from van.http.message import Field, Fields

NEVER_INDEXED: Final = frozenset(
    {b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"}
)
"""Secrets: several clients share a connection to a target, and none is to find out by the size of
its own messages what is in the table from another (RFC 7541, section 7.1)."""
NOT_INDEXED: Final = frozenset(
    {
        b"age", b"content-length", b"content-range", b"etag", b"grpc-timeout", b"if-match",
        b"if-modified-since", b"if-none-match", b"if-unmodified-since", b"last-modified",
        b"location", b"traceparent", b"tracestate", b"x-request-id",
    }
)  # fmt: skip
"""Fields that differ from message to message, even where two are equal by chance."""
_MOST_SEEN: Final = 128
"""Fields that came once and are remembered for it: more than two messages have."""
_REMEMBERED: Final = 16
"""Lists of fields of which the block is remembered."""

_BYTES: Final = [bytes([byte]) for byte in range(256)]
_STATIC_FIELDS: Final = {field: index for index, field in enumerate(STATIC_TABLE, 1)}
_STATIC_NAMES: Final = {
    name: index for index, (name, _) in reversed(list(enumerate(STATIC_TABLE, 1)))
}


class Encoder:
    """The sending end of one connection. Not thread-safe.

    Blocks have to be sent in the order in which they were made.
    """

    def __init__(self) -> None:
        self._table: list[Field] = []
        """The oldest field first."""
        self._table_size = 0
        self._table_limit = DEFAULT_TABLE_SIZE
        self._evicted = 0
        self._numbers: dict[Field, int] = {}
        """Which field is in the table, by how many were put in before it."""
        self._names: dict[bytes, int] = {}
        self._updates = b""
        """What the next block has to begin with, after the limit changed."""
        self._least_limit = DEFAULT_TABLE_SIZE
        self._seen: dict[int, None] = {}
        """Fields that came once, by their hashes."""
        self._known: dict[Field, bytes] = {}
        """What was made of the fields of both tables."""
        self._blocks: dict[Fields, bytes] = {}
        self._is_stable = True
        """Whether the block that is made would be the same a second time."""

    def limit_table(self, size: int) -> None:
        """Take the most that the peer lets the table be; what is above our own limit is not
        used."""
        size = min(size, DEFAULT_TABLE_SIZE)
        if size == self._table_limit and not self._updates:
            return
        self._least_limit = min(self._least_limit, size) if self._updates else size
        self._table_limit = size
        self._updates = _integer(self._least_limit, 5, 0x20)
        if size != self._least_limit:
            self._updates += _integer(size, 5, 0x20)
        self._evict(size)
        self._forget()

    def encode(self, fields: Fields, never_indexed: frozenset[bytes] = frozenset()) -> bytes:
        """Return the block for `fields`; those of the names `never_indexed` stay out of tables."""
        if self._updates:
            updates, self._updates = self._updates, b""
            return updates + self.encode(fields, never_indexed)
        if not never_indexed <= NEVER_INDEXED:
            return b"".join([self._represent(field, never_indexed) for field in fields])
        block = self._blocks.get(fields)
        if block is not None:
            return block
        self._is_stable = True
        known = self._known
        parts = []
        for field in fields:
            part = known.get(field)
            if part is None:
                part = self._represent(field, never_indexed)
            parts.append(part)
        block = b"".join(parts)
        if self._is_stable:
            if len(self._blocks) == _REMEMBERED:
                self._blocks.clear()
            self._blocks[fields] = block
        return block

    def _represent(self, field: Field, never_indexed: frozenset[bytes]) -> bytes:
        name, value = field
        if name in never_indexed:
            self._is_stable = False
            return self._literal(field, 4, 0x10)
        if (index := self._index(field)) is not None:
            self._known[field] = part = _integer(index, 7, 0x80)
            return part
        if name in NEVER_INDEXED:
            self._is_stable = False
            return self._literal(field, 4, 0x10)
        if name not in NOT_INDEXED and entry_size(name, value) <= self._table_limit // 4:
            number = hash(field)
            if number in self._seen:
                del self._seen[number]
                return self._insert(field)
            if len(self._seen) == _MOST_SEEN:
                del self._seen[next(iter(self._seen))]
            self._seen[number] = None
        self._is_stable = False
        return self._literal(field, 4, 0x00)

    def _insert(self, field: Field) -> bytes:
        self._is_stable = False
        part = self._literal(field, 6, 0x40, is_coded=True)
        size = entry_size(*field)
        self._evict(self._table_limit - size)
        number = self._evicted + len(self._table)
        self._table.append(field)
        self._table_size += size
        self._numbers[field] = self._names[field[0]] = number
        self._forget()
        return part

    def _evict(self, limit: int) -> None:
        while self._table_size > limit and self._table:
            field = self._table.pop(0)
            self._table_size -= entry_size(*field)
            del self._numbers[field]
            if self._names[field[0]] == self._evicted:
                del self._names[field[0]]
            self._evicted += 1

    def _forget(self) -> None:
        self._known.clear()
        self._blocks.clear()

    def _index(self, field: Field) -> int | None:
        if (index := _STATIC_FIELDS.get(field)) is not None:
            return index
        return self._dynamic_index(self._numbers.get(field))

    def _dynamic_index(self, number: int | None) -> int | None:
        if number is None:
            return None
        return FIRST_DYNAMIC + self._evicted + len(self._table) - 1 - number

    def _literal(self, field: Field, bits: int, first: int, *, is_coded: bool = False) -> bytes:
        name, value = field
        index = _STATIC_NAMES.get(name) or self._dynamic_index(self._names.get(name))
        if index is None:
            return (
                _BYTES[first] + _string(name, is_coded=is_coded) + _string(value, is_coded=is_coded)
            )
        return _integer(index, bits, first) + _string(value, is_coded=is_coded)


def _integer(value: int, bits: int, first: int) -> bytes:
    """Return an integer with a prefix of so many bits in a byte that begins as `first`."""
    most = (1 << bits) - 1
    if value < most:
        return _BYTES[first | value]
    encoded = bytearray([first | most])
    value -= most
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _string(text: bytes, *, is_coded: bool) -> bytes:
    if is_coded:
        code = huffman_encode(text)
        if len(code) < len(text):
            return _integer(len(code), 7, 0x80) + code
    return _integer(len(text), 7, 0x00) + text
