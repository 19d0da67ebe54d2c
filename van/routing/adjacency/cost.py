"""The cost of a link from its measured round trip: smoothed, quantised, and slow to change.

A cost that followed each measurement would carry load back into routing: a busy link becomes slow,
traffic leaves it, it becomes fast, traffic returns. So the round trip is the least of a window,
which queues hardly move; costs are steps a good third apart; and a step is taken only when the
round trip has been well beyond it for a while.
"""

import math
from collections import deque

import attrs

from van.wire.lsa import MAX_LINK_COST

STEP = math.sqrt(2.0)
"""Ratio of two neighbouring costs: a difference that small is not worth another path."""
UNIT = 0.001
"""Seconds of round trip that cost 1, the least cost."""
HYSTERESIS = 0.75
"""In steps: how far beyond the present cost a round trip must be. Half a step is where the next
cost is nearer."""
DWELL = 10.0
"""Seconds for which it must have been there."""
WINDOW = 10.0
"""Seconds in which the least round trip counts."""
UNKNOWN = 64
"""Cost before the first measurement, that of some 64 ms: a new link does not attract traffic before
it is known what it is worth."""


class LeastRecent:
    """The least of the samples of the last `WINDOW` seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, sample: float, now: float) -> float:
        """Take a sample, and return the least that counts."""
        samples = self._samples
        while samples and samples[-1][1] >= sample:
            samples.pop()
        samples.append((now, sample))
        while samples[0][0] <= now - WINDOW:
            samples.popleft()
        return samples[0][1]


@attrs.define
class AutoCost:
    """The cost that follows a link's round trip."""

    _step: int | None = None
    _beyond_since: float | None = None

    @property
    def cost(self) -> int:
        """Return the present cost."""
        return UNKNOWN if self._step is None else cost_of(self._step)

    def follow(self, least: float, now: float) -> bool:
        """Take the least round trip of late, in seconds, as each measurement comes; tell whether
        the cost is another one now."""
        exact = step_of(least)
        before = self.cost
        if self._step is None:
            self._step = round(exact)
        elif abs(exact - self._step) <= HYSTERESIS:
            self._beyond_since = None
        elif self._beyond_since is None:
            self._beyond_since = now
        elif now - self._beyond_since >= DWELL:
            self._step, self._beyond_since = round(exact), None
        return self.cost != before


def step_of(round_trip: float) -> float:
    """Return where a round trip in seconds lies on the scale of costs, 0 and more."""
    return max(0.0, math.log(max(round_trip, UNIT) / UNIT, STEP))


def cost_of(step: int) -> int:
    """Return the cost at a point of the scale."""
    return min(MAX_LINK_COST, round(STEP**step))
