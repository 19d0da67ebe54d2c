"""The intervals that routing lives by, and the two devices that keep them."""

import heapq
import math
from collections.abc import Hashable
from typing import Generic, TypeVar

import attrs

from van.routing.schedule.backoff import Delays

Name = TypeVar("Name", bound=Hashable)


@attrs.frozen
class Timers:
    """Intervals of a routing engine, in seconds."""

    heartbeat_interval: float = 0.3
    """Three fit into a hold time of a second: one lost to a busy machine does no harm."""
    refresh_interval: float = 300.0
    """A third of the lifetime, so that two refreshes may fail; shortened at random by up to a
    quarter, so that sites started together do not refresh together."""
    lifetime: float = 900.0
    """How long the network remembers a site that is gone without a word. It costs only memory:
    a site that no neighbour confirms gets no traffic meanwhile."""
    spf_delays: Delays = attrs.field(factory=Delays)
    """How route computations are put off when changes come in numbers."""
    tables_interval: float = 0.05
    """Least time between two tables of services."""
    flood_interval: float = 0.005
    """Least time between two batches to one neighbour: shorter than a path's usual delay, long
    enough that a burst of changes travels as one message."""
    origination_interval: float = 0.02
    """Least time between two versions of one of our own advertisements: all others must verify
    and store each, so that a burst of link events should become one version."""
    announce_delay: float = 0.25
    """How long an announcement waits. The advertisement itself has come by then, unless a branch
    of the flooding tree has just broken; and what changes meanwhile goes into one message."""
    summary_interval: float = 20.0
    """How often one neighbour, each in turn, is told what we hold: a difference that should not be
    there does not last."""
    sweep_interval: float = 30.0
    """How often identities are checked for expiry; stale advertisements go on time regardless."""


@attrs.define
class Pacer:
    """Lets something happen at once the first time, and then no more often than the interval."""

    interval: float
    _not_before: float = -math.inf
    _is_requested: bool = False

    def request(self) -> None:
        """Ask for it to happen as soon as allowed."""
        self._is_requested = True

    def force(self) -> None:
        """Ask for it to happen now, whatever the interval."""
        self._is_requested = True
        self._not_before = -math.inf

    def due_at(self) -> float:
        """Return when it may happen, or infinity if nobody asked."""
        return self._not_before if self._is_requested else math.inf

    def take(self, now: float) -> bool:
        """Tell whether it is to happen now; a true answer starts a new interval."""
        if not self._is_requested or now < self._not_before:
            return False
        self._is_requested = False
        self._not_before = now + self.interval
        return True


class AlarmQueue(Generic[Name]):
    """Named alarms; setting one anew replaces it."""

    def __init__(self) -> None:
        self._times: dict[Name, float] = {}
        self._heap: list[tuple[float, int, Name]] = []
        self._order = 0

    def set(self, name: Name, when: float) -> None:
        """Set an alarm, or clear it if the time is infinite."""
        if when == math.inf:
            self.clear(name)
        elif self._times.get(name) != when:
            self._times[name] = when
            self._order += 1
            heapq.heappush(self._heap, (when, self._order, name))

    def clear(self, name: Name) -> None:
        """Take an alarm out, if it is set."""
        self._times.pop(name, None)

    def next_time(self) -> float:
        """Return the time of the earliest alarm, or infinity."""
        while self._heap:
            when, _, name = self._heap[0]
            if self._times.get(name) == when:
                return when
            heapq.heappop(self._heap)
        return math.inf

    def pop_due(self, now: float) -> Name | None:
        """Take out the earliest alarm whose time has come, or return None."""
        if self.next_time() > now:
            return None
        _, _, name = heapq.heappop(self._heap)
        del self._times[name]
        return name
