"""What became of the tokens that a site minted: who was let in, and what may still be used.

The ledger, not the token, says what a token is worth. Each record is a file of its own that is
replaced as a whole; a method returns when the disk has what it did.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import attrs
import msgspec
from msgspec import Meta

from van.errors import AlreadyExists, JoinRefused, LocalError, NotFound, StorageError
from van.files import make_private_directory, remove, write_atomic
from van.names import check_site_pattern, is_label, site_pattern_matches
from van.tls.documents import Document, encode_document, load_document
from van.tls.grants import SITE_LIFETIME, Grants, dump_grants, load_grants
from van.tls.tokens import Token

KEEP_EXPIRED: Final = timedelta(days=30)
"""How long the record of an expired token is kept, so that a person can see who came by it."""
MAX_USES: Final = 100_000
"""Most uses of one token; as in the control API."""
MAX_RECORD: Final = 16 * 1024 * 1024
"""Largest record in bytes: that of a token used up so many times."""
SUFFIX: Final = ".toml"
ISSUED_MARK: Final = "issued"
"""File that remains when the records of used tokens are purged."""


class _RecordFile(Document, frozen=True, kw_only=True):
    id: str
    expires: Annotated[datetime, Meta(tz=True)]
    uses: Annotated[int, Meta(ge=1, le=MAX_USES)]
    cost: int
    names: tuple[str, ...] = ("*",)
    replaces: bool = False
    can_invite: bool
    allow_expose: tuple[str, ...]
    allow_bind: tuple[str, ...]
    may_name: tuple[str, ...] = ("*",)
    may_tag: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    life: int = int(SITE_LIFETIME.total_seconds())
    is_ephemeral: bool = False
    is_revoked: bool
    used_by: tuple[tuple[str, str], ...]


@attrs.frozen
class TokenRecord:
    """One token as its minting site knows it."""

    id: str
    expires: datetime
    uses: int
    cost: int
    grants: Grants
    names: tuple[str, ...] = ("*",)
    """Patterns of the names of those that it lets in."""
    replaces: bool = False
    """Whether it may take a name from the site that had it."""
    is_revoked: bool = False
    used_by: tuple[tuple[str, str], ...] = ()
    """Name and key fingerprint of every site let in with it, the first one first."""

    def state(self, now: datetime) -> str:
        """Return `valid`, `used up`, `expired`, or `revoked`, the last first."""
        if self.is_revoked:
            return "revoked"
        if now > self.expires:
            return "expired"
        return "used up" if len(self.used_by) >= self.uses else "valid"


class TokenLedger:
    """The records in one directory, which one process at a time may hold.

    Raises `StorageError`, which names the file, when a record is damaged.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._records = {record.id: record for record in _load_records(directory)}
        self._is_marked = (directory / ISSUED_MARK).exists()

    def add(self, token: Token, uses: int) -> TokenRecord:
        """Enter a token that was just minted, before it is handed out."""
        if not 1 <= uses <= MAX_USES:
            raise LocalError(f"{uses} uses are not valid: use a number from 1 to {MAX_USES}")
        if token.id in self._records:
            raise AlreadyExists(f"token {token.id!r} is in the ledger already")
        make_private_directory(self._directory)
        record = TokenRecord(
            token.id,
            token.expires,
            uses,
            token.cost,
            token.grants,
            names=token.names,
            replaces=token.replaces,
        )
        return self._save(record)

    def admit(self, token_id: str, *, site: str, fingerprint: str, now: datetime) -> TokenRecord:
        """Use a token once for a site's key, or raise `JoinRefused` with the reason.

        The same site with the same key again takes no other use, since it may not have got the
        reply.
        """
        record = self._records.get(token_id)
        if record is None:
            raise JoinRefused(f"token {token_id!r} is not known here: ask for a new one")
        if not any(site_pattern_matches(each, site) for each in record.names):
            raise JoinRefused(
                f"token {token_id!r} is for {' or '.join(record.names)}, not for site {site!r}: "
                "make the site anew under such a name, with 'van init', or ask for another token"
            )
        is_repeated = (site, fingerprint) in record.used_by
        state = record.state(now)
        if state == "valid" and not is_repeated:
            used_by = (*record.used_by, (site, fingerprint))
            return self._save(attrs.evolve(record, used_by=used_by))
        if is_repeated and state in ("valid", "used up"):
            return record
        raise JoinRefused(
            f"token {token_id!r} is {state}: ask for a new one, made with 'van link create'"
        )

    def get(self, token_id: str) -> TokenRecord | None:
        """Return what is known of a token, if it was minted here."""
        return self._records.get(token_id)

    def revoke(self, token_id: str) -> TokenRecord:
        """Refuse a token from now on; sites it has let in stay. Raises `NotFound`."""
        record = self._records.get(token_id)
        if record is None:
            raise NotFound(f"token {token_id!r} was not minted here")
        return record if record.is_revoked else self._save(attrs.evolve(record, is_revoked=True))

    def records(self) -> tuple[TokenRecord, ...]:
        """Return all records, those that expire last at the end."""
        return tuple(sorted(self._records.values(), key=lambda record: (record.expires, record.id)))

    @property
    def issued_any(self) -> bool:
        """Tell whether another site has ever been let in here."""
        return self._is_marked or any(record.used_by for record in self._records.values())

    def purge(self, now: datetime) -> None:
        """Remove the records of tokens that expired long ago."""
        for record in self.records():
            if now <= record.expires + KEEP_EXPIRED:
                return
            if record.used_by and not self._is_marked:
                write_atomic(self._directory / ISSUED_MARK, b"")
                self._is_marked = True
            remove(self._path(record.id))
            del self._records[record.id]

    def _path(self, token_id: str) -> Path:
        return self._directory / f"{token_id}{SUFFIX}"

    def _save(self, record: TokenRecord) -> TokenRecord:
        write_atomic(self._path(record.id), _encode_record(record).encode())
        self._records[record.id] = record
        return record

    def __repr__(self) -> str:
        return f"<TokenLedger {self._directory} tokens={len(self._records)}>"


def _encode_record(record: TokenRecord) -> str:
    file = _RecordFile(
        id=record.id,
        expires=record.expires,
        uses=record.uses,
        cost=record.cost,
        names=record.names,
        replaces=record.replaces,
        **dump_grants(record.grants),
        is_revoked=record.is_revoked,
        used_by=record.used_by,
    )
    return encode_document(file)


def _load_records(directory: Path) -> list[TokenRecord]:
    try:
        paths = [path for path in directory.iterdir() if path.suffix == SUFFIX]
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise StorageError(f"can't read {directory}: {exc.strerror}") from exc
    return [_load_record(path) for path in sorted(paths)]


def _load_record(path: Path) -> TokenRecord:
    file = load_document(path, _RecordFile, limit=MAX_RECORD)
    if file.id != path.stem or not is_label(file.id):
        raise StorageError(f"file {path} is damaged: it is about token {file.id!r}")
    try:
        grants = load_grants(msgspec.structs.asdict(file))
        names = tuple(map(check_site_pattern, file.names))
    except LocalError as exc:
        raise StorageError(f"file {path} is damaged: {exc}") from exc
    return TokenRecord(
        id=file.id,
        expires=file.expires.astimezone(UTC),
        uses=file.uses,
        cost=file.cost,
        grants=grants,
        names=names,
        replaces=file.replaces,
        is_revoked=file.is_revoked,
        used_by=file.used_by,
    )
