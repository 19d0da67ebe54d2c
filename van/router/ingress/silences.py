"""Tells of sites that take flows and do not answer: once a while for each, as there may be many."""

from collections.abc import Callable
from typing import Final

from van.router.telemetry.events import EventKind, EventLog

INTERVAL: Final = 60.0
"""Seconds between two events of one site."""


class Silences:
    """Remembers of which sites that was told of late."""

    def __init__(self, event_log: EventLog, clock: Callable[[], float]) -> None:
        self._event_log = event_log
        self._clock = clock
        self._told_at: dict[str, float] = {}

    def tell(self, site: str, address: str) -> None:
        """Take note that a site has not answered to a flow."""
        now = self._clock()
        self._told_at = {
            each: told_at for each, told_at in self._told_at.items() if told_at + INTERVAL > now
        }
        if site not in self._told_at:
            self._told_at[site] = now
            text = f"a flow to {address} was not answered: it is offered elsewhere"
            self._event_log.record(EventKind.SITE_SILENT, site, text)
