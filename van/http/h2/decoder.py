"""HPACK, the receiving end (RFC 7541): blocks of bytes become sections of fields.

Limits hold while a block is decoded: what passes them is not collected, and only goes into the
table, which has to stay in step with the peer's. A block that only refers to the table says the
same until the table changes; so such blocks are remembered until then.
"""

from typing import Any, Final

from van.http.h2.faults import ConnectionFault, ErrorCode
from van.http.h2.huffman import huffman_decode
from van.http.h2.static_table import (
    DEFAULT_TABLE_SIZE,
    ENTRY_OVERHEAD,
    FIRST_DYNAMIC,
    STATIC_TABLE,
    entry_size,
)
from van.http.message import Field, Fields

_REMEMBERED: Final = 16
"""Blocks that are remembered: a client has few kinds of requests, and idle ones are to cost
little."""
_REMEMBERED_SIZE: Final = 4096
"""Bytes of fields that such a block may have: what is made of them may be as large."""
_MOST_INTEGER_BYTES: Final = 4
"""Bytes of an integer behind its prefix: 28 bits are more than any length or index may have."""
_MOST_UPDATES: Final = 2
"""Changes of the table's size at the head of a block: its least, and its last (section 4.2)."""


class Section:
    """The fields of one block, and what the reader of messages makes of them.

    Who reads it keeps the result in `head` or `trailers`, as the same section may come again.
    """

    __slots__ = ("expected", "fields", "head", "never_indexed", "size", "trailers")

    def __init__(self, fields: Fields, size: int, never_indexed: frozenset[bytes]) -> None:
        self.fields = fields
        self.size = size
        """Bytes for which the fields count, with 32 for each."""
        self.never_indexed = never_indexed
        """Names of the fields that must not go into a table here either (section 7.1.3)."""
        self.head: Any = None
        self.expected: int | None = None
        self.trailers: Fields | None = None


class Decoder:
    """The receiving end of one connection. Not thread-safe."""

    def __init__(self, *, max_size: int, max_fields: int) -> None:
        """Limit a section to `max_size` bytes, with 32 for each field, and to `max_fields`
        fields."""
        self._max_size = max_size
        self._max_fields = max_fields
        self._fields: list[Field] = [(b"", b""), *STATIC_TABLE]
        """Both tables, as they are indexed."""
        self._sizes = [entry_size(*field) for field in self._fields]
        self._table_size = 0
        self._table_limit = DEFAULT_TABLE_SIZE
        self._sections: dict[bytes, Section] = {}
        self._never_indexed: set[bytes] = set()
        self._is_plain = True
        """Whether the block so far only refers to the table."""

    def decode(self, block: bytes) -> Section | None:
        """Return the fields of a whole block; None if they are more than the limits allow.

        Raises `ConnectionFault` for what is no HPACK: the tables are out of step then.
        """
        section = self._sections.get(block)
        if section is not None:
            return section
        self._is_plain = True
        self._never_indexed.clear()
        try:
            section = self._decode(block)
        except IndexError:
            text = "a block of fields is cut short, or refers to a field that is not there"
            raise _fault(text) from None
        if self._is_plain and section is not None and section.size <= _REMEMBERED_SIZE:
            if len(self._sections) == _REMEMBERED:
                self._sections.clear()
            self._sections[block] = section
        return section

    def _decode(self, block: bytes) -> Section | None:
        position = self._update_sizes(block) if block and block[0] & 0xE0 == 0x20 else 0
        fields: list[Field] = []
        size, end, most = 0, len(block), self._max_fields
        known, sizes = self._fields, self._sizes
        is_over = False
        while position < end:
            byte = block[position]
            position += 1
            if byte & 0x80:
                index = byte & 0x7F
                if index == 0x7F:
                    index, position = _integer(block, position, index)
                if index == 0:
                    raise _fault("a field has index 0")
                field = known[index]
                size += sizes[index]
            else:
                field, position = self._literal(block, position, byte)
                size += len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
            if size > self._max_size or len(fields) == most:
                is_over = True
            elif not is_over:
                fields.append(field)
        if is_over:
            return None
        return Section(tuple(fields), size, frozenset(self._never_indexed))

    def _literal(self, block: bytes, position: int, byte: int) -> tuple[Field, int]:
        self._is_plain = False
        if byte & 0x40:
            prefix = 0x3F
        elif byte & 0x20:
            raise _fault("a table's size changes behind a field")
        else:
            prefix = 0x0F
        index = byte & prefix
        if index == prefix:
            index, position = _integer(block, position, prefix)
        if index:
            name = self._fields[index][0]
        else:
            name, position = _string(block, position)
        value, position = _string(block, position)
        field = (name, value)
        if byte & 0x40:
            self._insert(field)
        elif byte & 0x10:
            self._never_indexed.add(name)
        return field, position

    def _insert(self, field: Field) -> None:
        self._sections.clear()
        size = entry_size(*field)
        self._evict(self._table_limit - size)
        if size <= self._table_limit:
            self._fields.insert(FIRST_DYNAMIC, field)
            self._sizes.insert(FIRST_DYNAMIC, size)
            self._table_size += size

    def _evict(self, limit: int) -> None:
        while self._table_size > limit and self._table_size:
            self._fields.pop()
            self._table_size -= self._sizes.pop()

    def _update_sizes(self, block: bytes) -> int:
        self._is_plain = False
        position, updates = 0, 0
        while position < len(block) and block[position] & 0xE0 == 0x20:
            size = block[position] & 0x1F
            position += 1
            if size == 0x1F:
                size, position = _integer(block, position, size)
            updates += 1
            if size > DEFAULT_TABLE_SIZE or updates > _MOST_UPDATES:
                raise _fault(f"a table's size is set to {size}, above the limit, or too often")
            self._sections.clear()
            self._table_limit = size
            self._evict(size)
        return position


def _integer(block: bytes, position: int, prefix: int) -> tuple[int, int]:
    """Return the integer whose prefix is full, and where it ends (section 5.1)."""
    value = prefix
    for shift in range(0, 7 * _MOST_INTEGER_BYTES, 7):
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _fault("an integer is longer than any length or index may be")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    byte = block[position]
    position += 1
    length = byte & 0x7F
    if length == 0x7F:
        length, position = _integer(block, position, length)
    end = position + length
    if end > len(block):
        raise _fault("a string goes beyond its block")
    text = block[position:end]
    return (huffman_decode(text) if byte & 0x80 else text), end


def _fault(reason: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.COMPRESSION_ERROR, reason)
