"""The statements that a site keeps of what its VAN allows."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from van.errors import CertificateError, StorageError
from van.files import read_bytes, write_atomic
from van.tls.policy import PolicyBook, VerifiedPolicy
from van.wire.policy import PolicyStatement

logger = logging.getLogger(__name__)

MAX_FILE: Final = 4 * 1024 * 1024
"""Largest file in bytes: as many statements as are kept, each as long as can be."""


class PolicyFile:
    """Reads and replaces one file; a VAN without a policy never has it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, into: PolicyBook) -> None:
        """Take in what the file holds, but for what is of another VAN; raise `StorageError`."""
        data = read_bytes(self._path, limit=MAX_FILE)
        if data is None:
            return
        try:
            kept = msgspec.msgpack.decode(data, type=tuple[PolicyStatement, ...])
        except (msgspec.DecodeError, ValueError) as exc:
            # To go on without it would open what is closed.
            raise StorageError(
                f"file {self._path} is damaged: put back a copy of it, or remove it, and the site "
                "learns again from its neighbours what the VAN allows"
            ) from exc
        for each in kept:
            try:
                if (verified := into.examine(each)) is not None:
                    into.put(verified)
            except CertificateError as exc:
                logger.info("a policy in %s does not count: %s", self._path, exc)

    def save(self, policies: Iterable[VerifiedPolicy]) -> None:
        """Put all statements on disk; raise `StorageError`, and the old ones are there still."""
        statements = tuple(each.statement for each in policies)
        write_atomic(self._path, msgspec.msgpack.encode(statements))
