"""The audit trail: what this site has done with its authority, signed, each record on the last.

A record is on disk before what it tells of is answered. Copies of it are kept at other authorities,
to which it is handed out from here.
"""

import base64
import contextlib
import enum
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs
import msgspec

from van.errors import StorageError, VanError
from van.paths import SitePaths
from van.router.site.trail import AuditRecord, AuditTrail, Line, TrailFiles
from van.router.site.trust import Trust
from van.router.subscription import Subscribers

logger = logging.getLogger(__name__)

MAX_TEXT: Final = 500
MAX_ENCODED: Final = 800
"""Bytes of a subject or text as JSON, so that a record has less than `MAX_TRAIL_LINE`."""
MAX_REFUSALS: Final = 100
"""Refusals of an hour that are recorded: who has a worthless token fills nobody's trail."""
MAX_COUNTED: Final = 1024
"""Keys of which it is counted how often they came, beside the records of that."""
HOUR: Final = timedelta(hours=1)


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
    TRAIL_REFUSED = "trail-refused"
    """What a site said of its own trail does not go with what is kept of that here."""
    FAILED = "failed"
    """What the record before it, or one soon before, tells of was not done."""


@attrs.define
class _Counted:
    """What one key has had done over and over."""

    recorded_at: datetime
    more: int = 0
    """How many times since then."""


class Audit:
    """Appends records, and reads them again; in trio's thread, but for `read` and `files`."""

    def __init__(self, paths: SitePaths, trust: Trust) -> None:
        self.recorded: Subscribers[[]] = Subscribers()
        """Told once there is another record."""
        self.files = TrailFiles(
            paths.audit_file,
            verify_author=trust.is_own,
            verify_keeper=trust.is_own,
            sign=trust.sign,
        )
        self._trust = trust
        self._refusals: list[datetime] = []
        self._counted: dict[tuple[AuditKind, str], _Counted] = {}

    def record(self, kind: AuditKind, subject: str, text: str) -> None:
        """Put a record on disk; raise `StorageError`, and nothing was recorded."""
        head, trust = self.files.last(), self._trust
        bare = AuditRecord(
            head.number + 1, trust.clock().timestamp(), trust.site, kind.value, _cut(subject),
            _cut(text), head.hash,
        )  # fmt: skip
        signature = base64.b64encode(trust.sign(bare.signed_bytes())).decode()
        record = msgspec.structs.replace(bare, signature=signature)
        self.files.append([Line(record, msgspec.json.encode(record))])
        self.recorded.tell()

    def record_counted(self, kind: AuditKind, subject: str, text: str, *, key: str) -> None:
        """Record what a key can have done over and over, once an hour, and with it how many times
        that was since the record before: or its holder could have all others make way.

        Raises `StorageError`, and nothing was recorded.
        """
        now = self._trust.clock()
        before = self._counted.get((kind, key))
        if before is not None and abs(now - before.recorded_at) < HOUR:
            before.more += 1
            return
        if before is not None and before.more:
            text += f"; {before.more} times more since the record before"
        self.record(kind, subject, text)
        self._counted.pop((kind, key), None)
        self._counted[kind, key] = _Counted(now)
        if len(self._counted) > MAX_COUNTED:
            del self._counted[next(iter(self._counted))]

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
        return self.files.read()


def moment(record: AuditRecord) -> datetime:
    """Return when a record was made."""
    return datetime.fromtimestamp(record.at, UTC)


def _cut(text: str) -> str:
    text = text[:MAX_TEXT]
    while len(msgspec.json.encode(text)) > MAX_ENCODED:
        text = text[: len(text) * 7 // 8]
    return text
