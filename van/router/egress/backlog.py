"""The work that waits at one instance: which flows count, for how much, and what it learns of them.

A flow that does something counts in full, one that is quiet for a tenth. What requests found there,
and how long the first of the answer took, makes the delay curve.
"""

from typing import Final

import attrs

from van.balancing.delay_curve import DelayCurve, Load
from van.router.flow.flow import Flow

LOOK_INTERVAL: Final = 0.5
"""Seconds between two looks at which flows do something; new ones count as busy until then."""
BUSY: Final = 1.0
IDLE: Final = 0.1
"""Share of a flow that has been quiet: most likely it will ask again, at some time."""
SPACING: Final = 0.0025
"""Seconds between two requests that are followed: at more than four hundred a second the curve is
well known from some of them, and to follow one costs as much as a tenth of carrying it."""


@attrs.define(eq=False)
class Backlog:
    """Flows at an instance, as work in flight; takes the time with each call."""

    curve: DelayCurve = attrs.field(factory=DelayCurve)
    followed_at: float = 0.0
    """When a request was followed last."""
    _flows: dict[Flow, None] = attrs.field(factory=dict)
    _waiting: dict[Flow, float] = attrs.field(factory=dict)
    """Flows with a request that was not answered yet, the oldest first, and since when."""
    _work: float = 0.0
    _looked_at: float = 0.0

    @property
    def flows(self) -> int:
        """Return how many flows there are."""
        return len(self._flows)

    @property
    def waiting(self) -> int:
        """Return how many of them wait for an answer, as far as requests are followed."""
        return len(self._waiting)

    def live(self) -> list[Flow]:
        """Return the flows."""
        return list(self._flows)

    def add(self, flow: Flow) -> None:
        """Count a flow; each call is paired with one of `remove`."""
        self._flows[flow] = None
        flow.share = BUSY
        self._work += BUSY

    def remove(self, flow: Flow) -> None:
        """Count a flow no more."""
        del self._flows[flow]
        self._waiting.pop(flow, None)
        self._work = self._work - flow.share if self._flows else 0.0

    def request_sent(self, flow: Flow, now: float) -> float:
        """Take note of a request; return how many pieces of work it finds there."""
        self.followed_at = now
        found = self.work(now) - flow.share
        self._work += BUSY - flow.share
        flow.share = BUSY
        self._waiting[flow] = now
        return max(0.0, found)

    def response_started(self, flow: Flow, found: float, now: float) -> None:
        """Take note of the first answer to a request that found so many pieces of work there."""
        asked_at = self._waiting.pop(flow, None)
        if asked_at is not None:
            self.curve.sample(found, now - asked_at)

    def request_abandoned(self, flow: Flow) -> None:
        """Take note that a request is waited for no more: it, or its answer, was lost."""
        self._waiting.pop(flow, None)

    def work(self, now: float) -> float:
        """Return the work in flight: a flow that does something counts in full."""
        if now - self._looked_at > LOOK_INTERVAL:
            self._look(now)
        return self._work

    def expected(self, more: float, now: float) -> float:
        """Return the delay in seconds to expect with so many more in flight."""
        return self.curve.expected(self.work(now) + more)

    def load(self, now: float) -> Load:
        """Return what is told of it."""
        if not self._waiting:
            return self.curve.load(self.work(now))
        oldest = next(iter(self._waiting.values()))
        return self.curve.load(self.work(now), oldest_age=now - oldest)

    def _look(self, now: float) -> None:
        self._looked_at = now
        work = 0.0
        for flow in self._flows:
            passed = sum(flow.carrying.meter()) if flow.carrying is not None else 0
            is_busy = passed != flow.passed or flow in self._waiting
            flow.passed = passed
            flow.share = BUSY if is_busy else IDLE
            work += flow.share
        self._work = work
