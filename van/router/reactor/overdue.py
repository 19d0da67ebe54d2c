"""Tells those that wait for a word when it is overdue, without a task or a timer for each."""

from collections.abc import Callable, Hashable
from typing import Final

import trio

from van.router.reactor.deadlines import DelayQueue

LATE: Final = 0.1
"""Seconds by which a look at who waits may be late: what came meanwhile is about to be read."""


class Overdue:
    """Those that wait, each equally long, for what another router owes.

    In trio's thread only. To begin and to end a wait costs little, and one that has ended leaves
    nothing behind. When this router itself was held up, all who wait are given as much longer: what
    they wait for may have come, and nobody has read it.
    """

    __slots__ = ("_delays", "_is_looking", "_now", "_timeout", "_waiting")

    def __init__(self, delays: DelayQueue, timeout: float) -> None:
        self._delays = delays
        self._timeout = timeout
        self._is_looking = False
        self._now: Callable[[], float] | None = None
        """What `trio.current_time` asks, and is three calls away from."""
        # All wait equally long, so that they are due in the order in which they began.
        self._waiting: dict[Hashable, tuple[float, Callable[[], object]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, who: Hashable, function: Callable[[], object]) -> None:
        """Have a function called when the time is over, unless `end` comes before.

        Who waits already begins anew.
        """
        if self._now is None:
            self._now = trio.lowlevel.current_clock().current_time
        self._waiting.pop(who, None)
        self._waiting[who] = (self._now() + self._timeout, function)
        if not self._is_looking:
            self._look_in(self._timeout)

    def end(self, who: Hashable) -> None:
        """Let somebody wait no more, if he does."""
        self._waiting.pop(who, None)

    def _look_in(self, seconds: float) -> None:
        self._is_looking = True
        due = trio.current_time() + seconds
        self._delays.add(seconds, lambda: self._look(due))

    def _look(self, due: float) -> None:
        self._is_looking = False
        now = trio.current_time()
        if now - due > LATE:
            longer = now - due + LATE
            self._waiting = {
                who: (overdue_at + longer, function)
                for who, (overdue_at, function) in self._waiting.items()
            }
        while self._waiting:
            who, (overdue_at, function) = next(iter(self._waiting.items()))
            if overdue_at > now:
                self._look_in(overdue_at - now)
                return
            del self._waiting[who]
            with self._delays.defects.contain("%r", function):
                function()
