"""Connections to the link port that came to nothing: counted, logged, and told to people.

What strangers do is bounded here: they can fill neither the disk nor the log of events.
"""

import logging
import math
from collections import Counter, OrderedDict
from typing import Final

import trio

from van.names import Endpoint
from van.router.telemetry.events import EventKind, EventLog

logger = logging.getLogger(__name__)

REPORTS_PER_MINUTE: Final = 60
"""Refusals that are written to the log; all are counted."""
EVENTS_PER_MINUTE: Final = 10
"""Events that refusals make: the log of events holds the last 1,000 of all kinds."""
TOLD_AGAIN: Final = 3600.0
"""Seconds after which a peer that keeps coming for one reason is told of again."""
MAX_TOLD: Final = 256
"""Peers and reasons that are remembered as told."""


class Refusals:
    """Takes note of who was refused, and why."""

    def __init__(self, event_log: EventLog) -> None:
        self.counts: Counter[str] = Counter()
        """By cause."""
        self._event_log = event_log
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._minute_ends = -math.inf
        self._reports_left = 0
        self._events_left = 0

    def record(self, cause: str, remote: Endpoint, detail: str) -> None:
        """Count a connection that is nothing to people: a scanner's, or one that was cut off."""
        self.counts[cause] += 1
        self._begin_minute()
        self._report(cause, remote, detail)

    def tell(self, cause: str, remote: Endpoint, detail: str, *, site: str = "") -> None:
        """Take note of a peer that was not let in, or did not believe this site; also as an event,
        unless that has been told of late. The site is named if it is known."""
        self.counts[cause] += 1
        self._begin_minute()
        who = site or remote.host
        told_at, now = self._told.get((who, detail), -math.inf), trio.current_time()
        if self._events_left and now - told_at > TOLD_AGAIN:
            self._events_left -= 1
            self._told[who, detail] = now
            self._told.move_to_end((who, detail))
            if len(self._told) > MAX_TOLD:
                self._told.popitem(last=False)
            self._event_log.record(EventKind.PEER_REFUSED, who, f"from {remote}: {detail}")
        else:
            self._report(cause, remote, detail)

    def _report(self, cause: str, remote: Endpoint, detail: str) -> None:
        if self._reports_left:
            self._reports_left -= 1
            logger.info("connection from %s refused: %s: %s", remote, cause, detail)

    def _begin_minute(self) -> None:
        now = trio.current_time()
        if now >= self._minute_ends:
            self._minute_ends = now + 60.0
            self._reports_left, self._events_left = REPORTS_PER_MINUTE, EVENTS_PER_MINUTE
