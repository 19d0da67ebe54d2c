"""Forgets what the database should not keep: dead advertisements, bad identities, lost sites."""

from collections.abc import Container

from van.routing.database.lsdb import Change, Lsdb
from van.routing.schedule.timers import Timers
from van.wire.lsa import LsaKind

MIN_INTERVAL = 1.0
"""Least seconds between two sweeps, however many advertisements expire one after the other."""


class Ageing:
    """Remembers since when sites can't be reached, and when to look again."""

    def __init__(self, lsdb: Lsdb, *, timers: Timers, now: float) -> None:
        self._lsdb = lsdb
        self._lifetime = timers.lifetime
        self._interval = timers.sweep_interval
        self._unreachable_since: dict[str, float] = {}
        self.next_at = now + self._interval

    def expect(self, expires_at: float) -> None:
        """Look again no later than a newly installed entry expires."""
        self.next_at = min(self.next_at, expires_at)

    def sweep(self, reachable: Container[str], *, now: float) -> Change:
        """Remove what is to be forgotten now, and say what that changes."""
        change = Change.NONE
        for key in self._lsdb.expired(now):
            change = max(change, self._lsdb.remove(key))
        unreachable: dict[str, float] = {}
        for name, origin in self._lsdb.origins():
            since = now if name in reachable else self._unreachable_since.get(name, now)
            if not origin.is_valid() or now - since >= self._lifetime:
                change = max(change, self._lsdb.remove((name, LsaKind.IDENTITY)))
            elif name not in reachable:
                unreachable[name] = since
        self._unreachable_since = unreachable
        soonest = now + MIN_INTERVAL
        self.next_at = max(soonest, min(now + self._interval, self._lsdb.next_expiry()))
        return change
