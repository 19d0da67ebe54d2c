"""Calls functions after a fixed time, without a task or a timer for each."""

import logging
from collections import deque
from collections.abc import Callable

import trio

logger = logging.getLogger(__name__)


class DelayQueue:
    """Calls each function that was added, in order, so many seconds after it was added.

    Nothing is taken out early: what a function was for may be over when it is called.
    """

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._queue: deque[tuple[float, Callable[[], object]]] = deque()
        self._has_some = trio.Event()

    def add(self, function: Callable[[], object]) -> None:
        """Have a function called when the time has passed."""
        self._queue.append((trio.current_time() + self._delay, function))
        self._has_some.set()

    async def run(self) -> None:
        """Call what is due until cancelled."""
        while True:
            while self._queue:
                await trio.sleep_until(self._queue[0][0])
                _, function = self._queue.popleft()
                try:
                    function()
                except Exception:
                    # A defect in what one was for must not keep the others from being called.
                    logger.exception("%r failed", function)
            self._has_some = trio.Event()
            await self._has_some.wait()
