"""Copies of the audit trails of other authorities: what is taken of one, and what is not.

There is one for each key. A record is kept if the key has signed it, and it follows the last one
that is here. So whoever writes a trail anew, or puts it back to what it was, can't have that
copied; what was kept of it stays.
"""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from van.errors import RemoteError
from van.files import make_private_directory, read_bytes, write_atomic
from van.router.site.trail import (
    MAX_RECORDS,
    AuditRecord,
    AuditTrail,
    Head,
    Line,
    TrailFiles,
    begins_file,
    decode,
)
from van.router.site.trust import Trust
from van.tls.identity import SiteIdentity
from van.tls.keys import fingerprint, is_signed
from van.tls.subject import key_bytes
from van.wire.channel import Trail

MAX_COPIES: Final = 32
"""Of authorities below others: at 8 MiB each. None makes way for another, since whoever may invite
could make authorities up."""
MAX_UPPER_COPIES: Final = 48
"""Of all, with the root's and of those beside it."""
MAX_BURST: Final = 2 * MAX_RECORDS
"""Records that are taken of one at a time: a whole trail."""
RATE: Final = 5.0
"""Records of one that are taken in a second from then on."""
KEY_FILE: Final = "key"


class TrailRefused(RemoteError):
    """What a site says of its audit trail does not go with what is kept of it."""

    code = "trail"


class TrailPutOff(RemoteError):
    """A site hands out more of its audit trail than is taken now."""

    code = "busy"


@attrs.frozen
class CopiedTrail:
    """What is kept of one site's trail."""

    site: str
    key: str
    """Hexadecimal SHA-256 of the key that signs it."""
    trail: AuditTrail


@attrs.define
class _Room:
    left: float
    at: float


class TrailCopies:
    """Keeps them; from any thread, one at a time."""

    def __init__(self, directory: Path, trust: Trust) -> None:
        self._directory = directory
        self._trust = trust
        self._lock = threading.Lock()
        self._files: dict[Path, TrailFiles] = {}
        self._rooms: dict[str, _Room] = {}

    def take(self, author: SiteIdentity, offer: Trail, *, is_upper: bool, now: float) -> Head:
        """Keep what a site hands out, and return which record is the last that is kept.

        `is_upper` is for the root, and for who is beside it; `now` is a monotonic clock. Raises
        `TrailRefused`, `TrailPutOff`, or `StorageError`, and nothing more is kept.
        """
        with self._lock:
            path = self._path(author.public_key_fingerprint)
            files = self._open(path, author.public_key)
            last = files.last()
            self._check_end(author, offer, last)
            lines = list(_read(author, offer, last))
            if not lines:
                return last
            self._make_room(path, is_upper=is_upper)
            self._spend(author, len(lines), now)
            if not path.exists():
                make_private_directory(path.parent.parent)
                make_private_directory(path.parent)
                make_private_directory(path)
            if not (path / KEY_FILE).exists():
                write_atomic(path / KEY_FILE, key_bytes(author.public_key))
            files.append(lines)
            return files.last()

    def read(self) -> list[CopiedTrail]:
        """Return all of this VAN, each record verified; raise `StorageError`."""
        with self._lock:
            return list(self._read())

    def _read(self) -> Iterator[CopiedTrail]:
        for path in self._known():
            key = _read_key(path)
            if key is None or fingerprint(key) != path.name:
                told = AuditTrail((), (f"file {path / KEY_FILE} was changed, or removed",))
                yield CopiedTrail("", path.name, told)
                continue
            trail = self._open(path, key).read()
            site = trail.records[-1].site if trail.records else ""
            yield CopiedTrail(site, path.name, trail)

    def _check_end(self, author: SiteIdentity, offer: Trail, last: Head) -> None:
        if offer.last < last.number:
            raise TrailRefused(
                f"site {author.site!r} says that record {offer.last} of its audit trail is the "
                f"last, and record {last.number} of it is kept at site {self._trust.site!r}: it "
                "was put back to what it was before, or begun anew"
            )
        if offer.last == last.number and offer.last_hash.hex() != last.hash:
            raise _forked(author, last)

    def _make_room(self, path: Path, *, is_upper: bool) -> None:
        """Raise `TrailPutOff` where there is no room for one more."""
        if path.exists():
            return
        limit = MAX_UPPER_COPIES if is_upper else MAX_COPIES
        if len(self._known()) >= limit:
            raise TrailPutOff(f"site {self._trust.site!r} keeps {limit} audit trails already")

    def _spend(self, author: SiteIdentity, count: int, now: float) -> None:
        room = self._rooms.setdefault(author.public_key_fingerprint, _Room(MAX_BURST, now))
        room.left = min(MAX_BURST, room.left + (now - room.at) * RATE)
        room.at = now
        if room.left < count:
            raise TrailPutOff(f"site {author.site!r} has recorded too much of late: try later")
        room.left -= count

    def _path(self, key: str) -> Path:
        return self._directory / self._trust.van_id / key

    def _known(self) -> list[Path]:
        parent = self._directory / self._trust.van_id
        if not parent.is_dir():
            return []
        return sorted(each for each in parent.iterdir() if re.fullmatch("[0-9a-f]{64}", each.name))

    def _open(self, path: Path, key: ec.EllipticCurvePublicKey) -> TrailFiles:
        found = self._files.get(path)
        if found is None:
            trust = self._trust
            found = TrailFiles(
                path / "audit",
                verify_author=lambda signature, message: is_signed(key, signature, message),
                verify_keeper=trust.is_own,
                sign=trust.sign,
                is_copy=True,
            )
            if path.exists():
                self._files[path] = found
        return found


def _read(author: SiteIdentity, offer: Trail, last: Head) -> Iterator[Line]:
    """Yield the records that are handed out, if they are those that come next."""
    number, line_hash = last.number, last.hash
    for data in offer.lines:
        record = decode(data, AuditRecord)
        if record is None or record.site != author.site or b"\n" in data:
            raise TrailRefused(f"what site {author.site!r} hands out is no record of its trail")
        if (record.number, record.previous) != (number + 1, line_hash):
            _check_gap(author, record, Head(number, line_hash))
        if record.number > offer.last or not record.is_signed(author.verify):
            raise TrailRefused(
                f"record {record.number} of the audit trail of site {author.site!r} is not one "
                "that it has signed"
            )
        line = Line(record, data)
        number, line_hash = record.number, line.hash
        yield line


def _check_gap(author: SiteIdentity, record: AuditRecord, last: Head) -> None:
    """Raise `TrailRefused`, unless those that are left out are kept at the site itself no more."""
    if record.number <= last.number:
        raise TrailPutOff(f"record {record.number} of site {author.site!r} is kept already")
    if record.number == last.number + 1 and last.number:
        raise _forked(author, last)
    if not begins_file(record.number) or (record.number == 1 and record.previous):
        raise TrailRefused(
            f"record {record.number} of the audit trail of site {author.site!r} does not follow "
            f"record {last.number}, the last one that is kept: those between were removed"
        )


def _forked(author: SiteIdentity, last: Head) -> TrailRefused:
    return TrailRefused(
        f"site {author.site!r} has another record {last.number} in its audit trail than it had "
        "when that was copied: the trail was written anew"
    )


def _read_key(path: Path) -> ec.EllipticCurvePublicKey | None:
    data = read_bytes(path / KEY_FILE, limit=1024)
    try:
        key = load_der_public_key(data or b"")
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None
