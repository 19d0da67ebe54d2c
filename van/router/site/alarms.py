"""Alarms by the wall clock, which certificates go by.

That clock is set, and goes on while the machine sleeps, and no timer hears of it. So it is looked
at every second, which costs one comparison however many alarms are set: what became due in a sleep
of hours rings within a second of its end.
"""

import heapq
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

import trio

LOOK_INTERVAL: Final = 1.0
"""Seconds between two looks."""


class HasClock(Protocol):
    """Knows the time of day."""

    @property
    def clock(self) -> Callable[[], datetime]:
        """Return what tells it."""


class WallAlarms:
    """Calls functions at times of day; in trio's thread."""

    def __init__(self, trust: HasClock) -> None:
        self._trust = trust
        self._due: list[tuple[datetime, str]] = []
        """A heap; of an alarm that was set anew or cancelled, the old time is passed over."""
        self._by_name: dict[str, tuple[datetime, Callable[[], object]]] = {}

    def set(self, name: str, at: datetime, ring: Callable[[], object]) -> None:
        """Have a function called once a time has passed, in the place of what the name was for."""
        self._by_name[name] = (at, ring)
        heapq.heappush(self._due, (at, name))
        if len(self._due) > 2 * len(self._by_name) + 8:
            self._due = [(at, name) for name, (at, _) in self._by_name.items()]
            heapq.heapify(self._due)

    def cancel(self, name: str) -> None:
        """Have nothing called, if anything was to be."""
        self._by_name.pop(name, None)

    def ring_due(self) -> None:
        """Call what is due now, the earliest first; what is called may set alarms."""
        now = self._trust.clock()
        while self._due and self._due[0][0] < now:
            at, name = heapq.heappop(self._due)
            alarm = self._by_name.get(name)
            if alarm is not None and alarm[0] == at:
                del self._by_name[name]
                alarm[1]()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.ring_due()
            await trio.sleep(LOOK_INTERVAL)
