"""Calls functions after a time, without a task or a timer for each."""

import heapq
import itertools
import math
from collections.abc import Callable

import trio

from van.router.reactor.supervisor import Defects


class DelayQueue:
    """Calls each function that was added so many seconds after that, in the order of their times.

    Nothing is taken out early: what a function was for may be over when it is called.
    """

    def __init__(self, defects: Defects) -> None:
        self.defects = defects
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._is_sooner = trio.Event()

    def add(self, delay: float, function: Callable[[], object]) -> None:
        """Have a function called when so many seconds have passed."""
        entry = (trio.current_time() + delay, next(self._numbers), function)
        heapq.heappush(self._queue, entry)
        if self._queue[0] is entry:
            self._is_sooner.set()

    async def run(self) -> None:
        """Call what is due until cancelled."""
        while True:
            self._is_sooner = trio.Event()
            due = self._queue[0][0] if self._queue else math.inf
            with trio.move_on_at(due):
                await self._is_sooner.wait()
            # What these add has to wait, were it due at once: others are to have their turn.
            for function in self._take_due(trio.current_time()):
                with self.defects.contain("%r", function):
                    function()

    def _take_due(self, now: float) -> list[Callable[[], object]]:
        found = []
        while self._queue and self._queue[0][0] <= now:
            found.append(heapq.heappop(self._queue)[2])
        return found
