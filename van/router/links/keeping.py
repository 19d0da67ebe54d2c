"""Keeps on disk what is in force though it could not be put there at first."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from van.errors import StorageError

logger = logging.getLogger(__name__)

KEEP_INTERVAL: Final = 30.0
"""Seconds between two attempts to put on disk what is in force."""


class Keeping:
    """What came from neighbours, and is in force whether or not there is room for it on disk."""

    def __init__(self, save: Callable[[], None], what: str) -> None:
        """`save` puts all of it on disk, or raises `StorageError`; `what` is it, for people."""
        self._save = save
        self._what = what
        self._is_kept = True
        self._must_keep = trio.Event()

    def kept(self) -> None:
        """Take note that all of it is on disk."""
        self._is_kept = True

    def keep(self) -> None:
        """Make sure that all of it is on disk; raise `StorageError`."""
        if not self._is_kept:
            self._save()
            self._is_kept = True

    def try_to_keep(self) -> None:
        """Put what has changed on disk, or have that done later."""
        self._is_kept = False
        try:
            self.keep()
        except StorageError as exc:
            # It is in force; and after a new start, neighbours tell of it before anything else.
            logger.warning("%s is not kept, and will be later: %s", self._what, exc)
            self._must_keep.set()

    async def run(self) -> None:
        """Try again to keep what could not be put on disk, until cancelled."""
        while True:
            await self._must_keep.wait()
            self._must_keep = trio.Event()
            while not self._is_kept:
                await trio.sleep(KEEP_INTERVAL)
                with suppress(StorageError):  # that it failed is in the log
                    self.keep()
