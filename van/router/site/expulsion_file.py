"""The statements that a site keeps of who was put out, on disk for good."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from van.errors import CertificateError, StorageError
from van.files import read_bytes, write_atomic
from van.tls.expulsion import Verified
from van.tls.expulsion_list import ExpulsionList
from van.wire.expulsion import Expulsion

logger = logging.getLogger(__name__)

MAX_FILE: Final = 256 * 1024 * 1024
"""Largest file in bytes: as many statements as are kept, signed as far below the root as can be."""


class ExpulsionFile:
    """Reads and replaces one file; most sites never have it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, into: ExpulsionList) -> None:
        """Take in what the file holds, but for what is of another VAN; raise `StorageError`."""
        data = read_bytes(self._path, limit=MAX_FILE)
        if data is None:
            return
        try:
            kept = msgspec.msgpack.decode(data, type=tuple[Expulsion, ...])
        except (msgspec.DecodeError, ValueError) as exc:
            # To go on without it would let in again who was put out.
            raise StorageError(
                f"file {self._path} is damaged: put back a copy of it, or remove it, and the site "
                "learns again from its neighbours who was expelled"
            ) from exc
        for each in kept:
            try:
                into.add(each)
            except CertificateError as exc:
                logger.info("an expulsion in %s does not count: %s", self._path, exc)

    def save(self, expulsions: Iterable[Verified]) -> None:
        """Put all statements on disk; raise `StorageError`, and the old ones are there still."""
        statements = tuple(each.expulsion for each in expulsions)
        write_atomic(self._path, msgspec.msgpack.encode(statements))
