"""The keys that a site has seen for names, on disk."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from van.errors import StorageError
from van.files import read_bytes, write_atomic
from van.tls.identity import IssuingAuthority
from van.tls.pins import MAX_PINS, Pin
from van.wire.expulsion import KeyFingerprint
from van.wire.fields import SiteName, UnixTime
from van.wire.framing import Message

MAX_FILE: Final = 64 * 1024 * 1024
"""Largest file in bytes: as many names as are remembered, each of a site as far below the root as
can be."""


class _Authority(Message, frozen=True, array_like=True):
    site: SiteName
    key: KeyFingerprint
    issued_at: UnixTime
    first_issued: UnixTime


class _Pin(Message, frozen=True, array_like=True):
    site: SiteName
    key: KeyFingerprint
    authorities: Annotated[tuple[_Authority, ...], Meta(max_length=8)]
    since: UnixTime
    seen: UnixTime
    held_level: Annotated[int, Meta(ge=0, le=8)] | None = None


class _File(Message, frozen=True, array_like=True):
    van: Annotated[str, Meta(max_length=64)]
    pins: Annotated[tuple[_Pin, ...], Meta(max_length=MAX_PINS)]


class PinFile:
    """Reads and replaces one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, van: str) -> list[Pin]:
        """Return what the file holds, if it is of this VAN; raise `StorageError`."""
        data = read_bytes(self._path, limit=MAX_FILE)
        if data is None:
            return []
        try:
            file = msgspec.msgpack.decode(data, type=_File)
            pins = [_read(each) for each in file.pins]
        except (msgspec.DecodeError, ValueError, OverflowError) as exc:
            # To go on without it would let others have the names of those who are away.
            raise StorageError(
                f"file {self._path} is damaged: put back a copy of it, or remove it, and the site "
                "learns anew which key has which name, from whom it meets first"
            ) from exc
        return pins if file.van == van else []

    def save(self, van: str, pins: Iterable[Pin]) -> None:
        """Put all on disk; raise `StorageError`, and what was there is there still."""
        file = _File(van, tuple(map(_write, pins)))
        write_atomic(self._path, msgspec.msgpack.encode(file))


def _read(pin: _Pin) -> Pin:
    authorities = tuple(
        IssuingAuthority(each.site, each.key.hex(), _at(each.issued_at), _at(each.first_issued))
        for each in pin.authorities
    )
    return Pin(pin.site, pin.key.hex(), authorities, _at(pin.since), _at(pin.seen), pin.held_level)


def _write(pin: Pin) -> _Pin:
    authorities = tuple(
        _Authority(
            each.site,
            bytes.fromhex(each.key),
            each.issued_at.timestamp(),
            each.first_issued.timestamp(),
        )
        for each in pin.authorities
    )
    key = bytes.fromhex(pin.key)
    since, seen = pin.since.timestamp(), pin.seen.timestamp()
    return _Pin(pin.site, key, authorities, since, seen, pin.held_level)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
