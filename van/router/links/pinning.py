"""Keeps on disk which key has which name, and tells when another one has it."""

import logging
from typing import Final

import trio

from van.errors import StorageError
from van.router.site.state import SiteState
from van.router.telemetry.events import EventKind, EventLog
from van.routing.paths.fib import Fib
from van.tls.pins import Pin

logger = logging.getLogger(__name__)

KEEP_DELAY: Final = 1.0
"""Seconds in which what else is learnt is put on disk together: a thousand sites come at once."""
RETRY_INTERVAL: Final = 30.0


class Pinning:
    """Follows what this site learns of names; in trio's thread."""

    def __init__(self, site: SiteState, event_log: EventLog) -> None:
        self._site = site
        self._trust = site.trust
        self._event_log = event_log
        self._is_due = trio.Event()
        self._trust.pinned.subscribe(self._pinned)

    def _pinned(self, pin: Pin, before: Pin | None) -> None:
        self._is_due.set()
        if before is None:
            return
        found = self._trust.expulsions.find_above(before.key, before.authorities)
        why = "" if found is None else f": {found.describe()}"
        self._event_log.record(
            EventKind.SITE_KEY_CHANGED,
            pin.site,
            f"it has the key {pin.key[:16]}… now, in the place of {before.key[:16]}…{why}",
        )

    def fib_changed(self, fib: Fib, previous: Fib) -> None:
        """Take note of who has left: until now it was there."""
        for site in previous.routes.keys() - fib.routes.keys():
            self._trust.pins.saw_last(site, at=self._trust.clock())

    def release(self, site: str, key: str) -> None:
        """Forget whose a name is, if it is that of a key."""
        if self._trust.pins.release(site, key):
            self._is_due.set()

    async def run(self) -> None:
        """Put on disk what is new, until cancelled."""
        try:
            while True:
                await self._is_due.wait()
                self._is_due = trio.Event()
                await trio.sleep(KEEP_DELAY if self._keep() else RETRY_INTERVAL)
        finally:
            self._keep()

    def _keep(self) -> bool:
        """Put all on disk, and tell whether that could be."""
        try:
            self._site.pin_file.save(self._trust.van_id, self._trust.pins)
        except StorageError as exc:
            logger.warning("which key has which name is not kept, and will be later: %s", exc)
            self._is_due.set()
            return False
        return True
