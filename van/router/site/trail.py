"""The files of one audit trail: records that each rest on the one before, and which is the last.

Whose trail it is signs each record, and who keeps the files signs which one is the last: at the
site itself both are the same, and of a copy they are not. Who can sign as neither can't change or
remove a line unnoticed.
"""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final, TypeVar

import attrs
import msgspec
from msgspec import Meta

from van.files import append_at, read_bytes, rename, write_atomic
from van.wire.channel import MAX_TRAIL_LINE, MAX_TRAIL_LINES

MAX_RECORDS: Final = 2000
"""Records of one file; with the next one it is put aside, in the place of the one before it."""
MAX_TOLD: Final = 10
MAX_PART: Final = 48 * 1024
"""Bytes that are handed out in one piece."""
CONTEXT: Final = b"van audit 1\0"
"""Set before what is signed, so that a signature is good for a record and for nothing else."""
HEAD_CONTEXT: Final = b"van audit head 1\0"
T = TypeVar("T")
Verify = Callable[[bytes, bytes], bool]
"""Tells whether a signature is one of a message."""


class AuditRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the file, in JSON."""

    number: Annotated[int, Meta(ge=1, le=2**53)]
    at: Annotated[float, Meta(ge=0, le=1e11)]
    """By the wall clock, in seconds since 1970."""
    site: str
    kind: str
    subject: str
    text: str
    previous: str
    """Hexadecimal SHA-256 of the line before; empty for the first one."""
    signature: str = ""
    """In Base64, by the site's key."""

    def signed_bytes(self) -> bytes:
        """Return what the signature covers: everything else."""
        *fields, _ = msgspec.structs.astuple(self)
        return CONTEXT + msgspec.msgpack.encode(fields)

    def is_signed(self, verify: Verify) -> bool:
        """Tell whether its signature is good."""
        return _is_signed(verify, self.signature, self.signed_bytes())


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which record is the last."""

    number: int = 0
    hash: str = ""
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """Return what the signature covers."""
        return HEAD_CONTEXT + msgspec.msgpack.encode((self.number, self.hash))


class AuditTrail(msgspec.Struct, frozen=True):
    """What is there, and whether it is as it was written."""

    records: tuple[AuditRecord, ...]
    troubles: tuple[str, ...]
    """What was changed, or is missing; the first few."""


@attrs.frozen
class Line:
    """A record as it stands in the file."""

    record: AuditRecord
    data: bytes

    @property
    def hash(self) -> str:
        """Return what the next record rests on."""
        return hash_of(self.data)


class TrailFiles:
    """Appends lines, and reads them again; from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        verify_author: Verify,
        verify_keeper: Verify,
        sign: Callable[[bytes], bytes],
        is_copy: bool = False,
    ) -> None:
        """`path` is the file of the newest records; two others are beside it."""
        self._path = path
        self._older = path.with_name(f"{path.name}.1")
        self._head_path = path.with_name(f"{path.name}.head")
        self._verify_author = verify_author
        self._verify_keeper = verify_keeper
        self._sign = sign
        self._is_copy = is_copy
        self._lock = threading.Lock()
        self._head: Head | None = None
        """None until the file has been looked at."""
        self._size = 0
        """Bytes of whole lines in the file; what a crash left behind them is written over."""

    def last(self) -> Head:
        """Return the last record that there was; raise `StorageError`."""
        with self._lock:
            return self._open()

    def append(self, lines: Sequence[Line]) -> None:
        """Put records on disk that follow the last one; raise `StorageError`, and those that did
        not get there were not appended."""
        with self._lock:
            for place, group in groupby(lines, key=lambda each: _file_of(each.record.number)):
                self._append(place, list(group))

    def after(self, number: int) -> tuple[bytes, ...]:
        """Return lines of higher numbers, as many as are handed out at a time; raise
        `StorageError`."""
        found: list[bytes] = []
        size = 0
        for data in self._lines():
            record = decode(data, AuditRecord)
            if record is None or record.number <= number:
                continue
            size += len(data)
            if size > MAX_PART or len(found) == MAX_TRAIL_LINES:
                break
            found.append(data)
        return tuple(found)

    def read(self) -> AuditTrail:
        """Return all records that are kept, and what is wrong with them; raise `StorageError`."""
        lines: list[Line] = []
        troubles: list[str] = []
        for data in self._lines():
            record = decode(data, AuditRecord)
            if record is None:
                last = lines[-1].record.number if lines else 0
                troubles.append(f"the line after record {last} is no record")
                continue
            lines.append(Line(record, data))
        troubles += self._judge_lines(lines)
        troubles += self._judge_ends(lines)
        return AuditTrail(tuple(each.record for each in lines), tuple(troubles[:MAX_TOLD]))

    def _judge_lines(self, lines: Sequence[Line]) -> list[str]:
        """Say what is wrong with each. A signature vouches for all lines that its record rests on:
        so it is verified where the chain ends, or is broken."""
        hashes = [each.hash for each in lines]
        rested_on = [each.record.previous for each in lines[1:]] + [""]
        troubles = []
        for place, line in enumerate(lines):
            record = line.record
            if hashes[place] != rested_on[place] and not record.is_signed(self._verify_author):
                troubles.append(f"record {record.number} was changed: its signature does not hold")
            if not place:
                continue
            before = lines[place - 1].record.number
            if (record.number, record.previous) == (before + 1, hashes[place - 1]):
                continue
            if self._is_copy and record.number > before + 1 and begins_file(record.number):
                lost = f"records {before + 1} to {record.number - 1}"
                troubles.append(f"{lost} are not here: they were gone before they were copied")
            else:
                number = record.number
                troubles.append(f"what was before record {number} was changed, or removed")
        return troubles

    def _judge_ends(self, lines: Sequence[Line]) -> Iterator[str]:
        """Say what is missing at the beginning, and at the end."""
        number, line_hash = (lines[-1].record.number, lines[-1].hash) if lines else (0, "")
        first, least = lines[0].record.number if lines else 1, _first_kept(number)
        if first > least and not self._is_copy:
            yield f"records {least} to {first - 1} at the beginning were removed"
        with self._lock:
            head = max(self._read_head(), self._head or Head(), key=lambda each: each.number)
        if not self._is_copy and head.number < number - 1:
            # A crash may come between a record and this.
            yield "what says which record is the last was removed, or is an older one"
        elif number < head.number:
            yield f"records {number + 1} to {head.number} at the end were removed"
        elif number == head.number and line_hash != head.hash:
            yield f"record {head.number}, the last one, is another than was written"

    def _append(self, place: int, lines: Sequence[Line]) -> None:
        head = self._open()
        if self._size and _file_of(head.number) != place:
            rename(self._path, self._older)
            self._size = 0
        data = b"".join(each.data + b"\n" for each in lines)
        append_at(self._path, self._size, data)
        self._size += len(data)
        last = lines[-1]
        self._head = self._signed_head(last.record.number, last.hash)
        # Should this be the last that the site does, the lines are there, and count at the start.
        write_atomic(self._head_path, msgspec.json.encode(self._head))

    def _open(self) -> Head:
        """Return the last record that there was; after a crash, that is the file's last line."""
        if self._head is None:
            lines = _lines(self._path)
            self._size = sum(len(each) + 1 for each in lines)
            lines = lines or _lines(self._older)
            head = self._read_head()
            last = decode(lines[-1], AuditRecord) if lines else None
            if last is not None and last.number > head.number:
                head = Head(last.number, hash_of(lines[-1]))
            self._head = head
        return self._head

    def _lines(self) -> list[bytes]:
        with self._lock:
            return [*_lines(self._older), *_lines(self._path)]

    def _read_head(self) -> Head:
        data = read_bytes(self._head_path, limit=1024)
        head = decode(data, Head) if data is not None else None
        if head is None or not _is_signed(self._verify_keeper, head.signature, head.signed_bytes()):
            return Head()
        return head

    def _signed_head(self, number: int, line_hash: str) -> Head:
        bare = Head(number, line_hash)
        signature = base64.b64encode(self._sign(bare.signed_bytes())).decode()
        return msgspec.structs.replace(bare, signature=signature)


def begins_file(number: int) -> bool:
    """Tell whether a record is the first of a file: those before it may be gone."""
    return (number - 1) % MAX_RECORDS == 0


def decode(data: bytes, kind: type[T]) -> T | None:
    """Return what some JSON holds, or None if it is not of that kind."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, ValueError):
        return None


def hash_of(line: bytes) -> str:
    """Return the hexadecimal SHA-256 of a line."""
    return hashlib.sha256(line).hexdigest()


def _file_of(number: int) -> int:
    return (number - 1) // MAX_RECORDS


def _first_kept(last: int) -> int:
    """Return the first record that is kept when one is the last."""
    return max(1, (_file_of(last) - 1) * MAX_RECORDS + 1)


def _lines(path: Path) -> list[bytes]:
    """Return the whole lines of a file; one that a crash has cut off was never answered for."""
    data = read_bytes(path, limit=MAX_RECORDS * (MAX_TRAIL_LINE + 1)) or b""
    return data.split(b"\n")[:-1]


def _is_signed(verify: Verify, signature: str, message: bytes) -> bool:
    try:
        return verify(base64.b64decode(signature), message)
    except ValueError:
        return False
