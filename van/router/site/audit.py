"""The audit trail: what this site has done with its authority, signed, each record on the last.

A record is on disk before what it tells of is answered. Who can't sign as this site can neither
change a record nor remove one unnoticed: each holds the hash of the one before, and what the last
one is, is signed besides.
"""

import base64
import contextlib
import enum
import hashlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from van.errors import StorageError, VanError
from van.files import append_at, read_bytes, rename, write_atomic
from van.paths import SitePaths
from van.router.site.trust import Trust

logger = logging.getLogger(__name__)

MAX_RECORDS: Final = 2000
"""Records of one file; with the next one it is put aside, in the place of the one before it."""
MAX_FILE: Final = 4 * 1024 * 1024
"""Largest file in bytes: as many records, each as long as can be."""
MAX_TEXT: Final = 500
MAX_REFUSALS: Final = 100
"""Refusals of an hour that are recorded: who has a worthless token fills nobody's trail."""
HOUR: Final = timedelta(hours=1)
CONTEXT: Final = b"van audit 1\0"
"""Set before what is signed, so that a signature is good for a record and for nothing else."""
HEAD_CONTEXT: Final = b"van audit head 1\0"
T = TypeVar("T")


class AuditKind(enum.StrEnum):
    """What was done."""

    MINTED = "token-minted"
    REVOKED = "token-revoked"
    SITE_LET_IN = "site-let-in"
    SITE_CAME_BACK = "site-came-back"
    """Its certificate had run out, and it got another one by its key."""
    SITE_REFUSED = "site-refused"
    SITE_EXPELLED = "site-expelled"
    SITE_FORGOTTEN = "site-forgotten"
    AUTHORITY_GRANTED = "authority-granted"
    ROOT_REPLACED = "root-replaced"
    POLICY_CHANGED = "policy-changed"
    FAILED = "failed"
    """What the record before it, or one soon before, tells of was not done."""


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


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which record is the last."""

    number: int = 0
    hash: str = ""
    signature: str = ""

    def signed_bytes(self) -> bytes:
        return HEAD_CONTEXT + msgspec.msgpack.encode((self.number, self.hash))


class AuditTrail(msgspec.Struct, frozen=True):
    """What is there, and whether it is as it was written."""

    records: tuple[AuditRecord, ...]
    troubles: tuple[str, ...]
    """What was changed, or is missing; the first few."""


class Audit:
    """Appends records, and reads them again; in trio's thread, but for `read`."""

    def __init__(self, paths: SitePaths, trust: Trust) -> None:
        self._path = paths.audit_file
        self._older = paths.older_audit_file
        self._head_path = paths.audit_head_file
        self._trust = trust
        self._head: _Head | None = None
        """None until the file has been looked at."""
        self._size = 0
        """Bytes of whole lines in the file; what a crash left behind them is written over."""
        self._refusals: list[datetime] = []

    def record(self, kind: AuditKind, subject: str, text: str) -> None:
        """Put a record on disk; raise `StorageError`, and nothing was recorded."""
        head = self._open()
        if self._size and head.number % MAX_RECORDS == 0:
            rename(self._path, self._older)
            self._size = 0
        trust = self._trust
        bare = AuditRecord(
            head.number + 1, trust.clock().timestamp(), trust.site, kind.value, subject[:MAX_TEXT],
            text[:MAX_TEXT], head.hash,
        )  # fmt: skip
        signature = base64.b64encode(trust.sign(bare.signed_bytes())).decode()
        line = msgspec.json.encode(msgspec.structs.replace(bare, signature=signature))
        append_at(self._path, self._size, line + b"\n")
        self._size += len(line) + 1
        self._head = self._signed_head(bare.number, _hash(line))
        # Should this be the last that the site does, the line is there, and counts at the start.
        write_atomic(self._head_path, msgspec.json.encode(self._head))

    @contextlib.contextmanager
    def telling(self, kind: AuditKind, subject: str, text: str) -> Iterator[None]:
        """Record what is done within, before it is; and that it failed, if it does."""
        self.record(kind, subject, text)
        try:
            yield
        except VanError as exc:
            self.try_to_record(AuditKind.FAILED, subject, f"{kind.value}: {exc}")
            raise

    def try_to_record(self, kind: AuditKind, subject: str, text: str) -> None:
        """Record what is so whether or not it is recorded."""
        try:
            self.record(kind, subject, text)
        except StorageError as exc:
            logger.warning("%s of %r is not in the audit trail: %s", kind.value, subject, exc)

    def refused(self, subject: str, text: str) -> None:
        """Record that somebody was refused, unless that happens all the time."""
        now = self._trust.clock()
        self._refusals = [each for each in self._refusals if each > now - HOUR]
        if len(self._refusals) < MAX_REFUSALS:
            self._refusals.append(now)
            self.try_to_record(AuditKind.SITE_REFUSED, subject, text)

    def read(self) -> AuditTrail:
        """Return all records that are kept, and what is wrong with them; raise `StorageError`."""
        lines = [*_lines(_read(self._older)), *_lines(_read(self._path))]
        records: list[AuditRecord] = []
        troubles: list[str] = []
        before: tuple[int, str] | None = None
        for line in lines:
            record = _decode(line, AuditRecord)
            if record is None:
                troubles.append(f"the line after record {before[0] if before else 0} is no record")
                continue
            records.append(record)
            if not self._is_ours(record.signature, record.signed_bytes()):
                troubles.append(f"record {record.number} was changed: its signature does not hold")
            if before and (record.number, record.previous) != (before[0] + 1, before[1]):
                troubles.append(f"what was before record {record.number} was changed, or removed")
            before = record.number, _hash(line)
        last = before or (0, "")
        first, least = records[0].number if records else 1, _first_kept(last[0])
        if first > least:
            troubles.append(f"records {least} to {first - 1} at the beginning were removed")
        head = max(self._read_head(), self._head or _Head(), key=lambda each: each.number)
        if head.number < last[0] - 1:  # a crash may come between a record and this
            troubles.append("what says which record is the last was removed, or is an older one")
        elif last[0] < head.number:
            troubles.append(f"records {last[0] + 1} to {head.number} at the end were removed")
        elif last[0] == head.number and last[1] != head.hash:
            troubles.append(f"record {head.number}, the last one, is another than was written")
        return AuditTrail(tuple(records), tuple(troubles[:10]))

    def _open(self) -> _Head:
        """Return the last record that there was; after a crash, that is the file's last line."""
        if self._head is None:
            lines = _lines(_read(self._path))
            self._size = sum(len(each) + 1 for each in lines)
            lines = lines or _lines(_read(self._older))
            head = self._read_head()
            last = _decode(lines[-1], AuditRecord) if lines else None
            if last is not None and last.number > head.number:
                head = _Head(last.number, _hash(lines[-1]))
            self._head = head
        return self._head

    def _read_head(self) -> _Head:
        data = read_bytes(self._head_path, limit=1024)
        head = _decode(data, _Head) if data is not None else None
        if head is None or not self._is_ours(head.signature, head.signed_bytes()):
            return _Head()
        return head

    def _signed_head(self, number: int, line_hash: str) -> _Head:
        bare = _Head(number, line_hash)
        signature = base64.b64encode(self._trust.sign(bare.signed_bytes())).decode()
        return msgspec.structs.replace(bare, signature=signature)

    def _is_ours(self, signature: str, message: bytes) -> bool:
        try:
            return self._trust.identity.verify(base64.b64decode(signature), message)
        except ValueError:
            return False


def _first_kept(last: int) -> int:
    """Return the first record that is kept when one is the last."""
    return max(1, ((last - 1) // MAX_RECORDS - 1) * MAX_RECORDS + 1)


def moment(record: AuditRecord) -> datetime:
    """Return when a record was made."""
    return datetime.fromtimestamp(record.at, UTC)


def _read(path: Path) -> bytes:
    return read_bytes(path, limit=MAX_FILE) or b""


def _lines(data: bytes) -> list[bytes]:
    """Return the whole lines of a file; one that a crash has cut off was never answered for."""
    return data.split(b"\n")[:-1]


def _decode(data: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, ValueError):
        return None


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
