"""What an instance's work tells of how long the next piece of it will wait.

The egress sees each request to its target, and the first of each answer. For every number of
pieces of work that a request found there, the *delay curve* keeps how long the answer took. So it
learns how many the target works on at a time, and how fast, without being told and without a probe.
"""

import math
from bisect import bisect_left
from typing import Protocol

import attrs

DEEPER = 8
"""Pieces of work further on at which a second point of the curve is told: one ingress of several
sends no more than this between two reports."""
OVERDUE = 6.0
"""Times the expected delay after which a piece of work is evidence that all has changed."""
ENOUGH = 10
"""Samples of a bucket that count: of a mean of more, a new one is as much a part as of this."""
LASTING = 25.0
"""Samples, of all buckets together, in which one that gets none comes to weigh half as much."""
HALF = 0.5 ** (1 / LASTING)
"""What it keeps with each of them."""
OLDEST = 1000
"""Samples after which it loses no more weight: it is nearly nothing, but not nothing."""
QUICK = 4
"""Samples in a row that are far less than expected, from which on the target has recovered: with
exponential work, chance brings that about once in two thousand."""
SMALL = 8
"""Buckets below this hold one number each; above, each is a quarter wider than the one before."""
WIDTH = math.log(1.25)
MAX_BUCKETS = 64


class Told(Protocol):
    """A `Load`, or what was told of one elsewhere in the same words."""

    @property
    def in_flight(self) -> float:
        """Pieces of work that are there."""

    @property
    def expected_delay(self) -> float:
        """Seconds that the next one is to take."""

    @property
    def expected_delay_deeper(self) -> float:
        """Seconds that one is to take when `DEEPER` more are there."""


@attrs.frozen
class Load:
    """How busy an instance, or all of a site's, is."""

    in_flight: float
    """Pieces of work that are there."""
    expected_delay: float
    """Seconds that the next one is to take."""
    expected_delay_deeper: float
    """Seconds that one is to take when `DEEPER` more are there."""


@attrs.define
class _Bucket:
    found: float
    delay: float
    number: int
    """Of the last sample, among those of all buckets."""
    samples: int = 1
    """No more than `ENOUGH`."""

    def add(self, found: float, delay: float, number: int) -> None:
        self.number = number
        if self.samples < ENOUGH:
            self.samples += 1
        gain = 1 / self.samples
        self.found += gain * (found - self.found)
        self.delay += gain * (delay - self.delay)

    def weight(self, number: int) -> float:
        """Return how much it is worth beside others, when so many samples have come to all."""
        return self.samples * float(HALF ** min(OLDEST, number - self.number))


class DelayCurve:
    """Learns the delay of a piece of work from how many it found in flight."""

    def __init__(self) -> None:
        self._buckets: dict[int, _Bucket] = {}
        self._order: list[_Bucket] = []
        """By what their work found, fewest first."""
        self.samples = 0
        """Pieces of work that it was learnt from."""
        self._quick = 0
        """Samples in a row that were far less than expected."""
        self._found: list[float] = []
        """What the work of each bucket found."""
        self._delays: list[float] = []
        """Of each bucket, so that more work never makes the next piece sooner; empty if both have
        to be worked out anew."""

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing has been learned yet."""
        return not self._order

    def sample(self, in_flight: float, delay: float) -> None:
        """Learn that a piece of work that found so many in flight took `delay` seconds."""
        self._notice_recovery(in_flight, delay)
        self.samples += 1
        self._delays = []
        number = _bucket(in_flight)
        bucket = self._buckets.get(number)
        if bucket is not None:
            bucket.add(in_flight, delay, self.samples)
            return
        self._buckets[number] = _Bucket(in_flight, delay, self.samples)
        self._order = [self._buckets[each] for each in sorted(self._buckets)]

    def _notice_recovery(self, in_flight: float, delay: float) -> None:
        """Halve the curve with each sample of a row that are nothing beside what was expected.

        A target that was slow gets little work, so that one mean after the other would take long to
        learn that it has recovered.
        """
        self._quick = self._quick + 1 if OVERDUE * delay < self.expected(in_flight) else 0
        if self._quick >= QUICK:
            for bucket in self._order:
                bucket.delay /= 2

    def expected(self, in_flight: float) -> float:
        """Return the seconds to expect for one that finds so many; 0 while nothing is known.

        Between two buckets, a straight line. Beyond the fullest one, and below the emptiest, work
        is believed to be done one piece at a time, as long as nothing else has been seen: who
        believes in more sends too much to a target that is slow.
        """
        order = self._order
        if not order:
            return 0.0
        if not self._delays:
            self._delays = _rising(order, self.samples)
            self._found = [each.found for each in order]
        delays, found = self._delays, self._found
        if in_flight > found[-1]:
            return delays[-1] * (1 + in_flight) / (1 + found[-1])
        above = bisect_left(found, in_flight)
        if not above:
            return delays[0] * (1 + in_flight) / (1 + found[0])
        below = above - 1
        part = (in_flight - found[below]) / (found[above] - found[below])
        return delays[below] + part * (delays[above] - delays[below])

    def load(self, in_flight: float, *, oldest_age: float = 0.0) -> Load:
        """Return what is told to those who send work here.

        A piece of work that has waited for `oldest_age` seconds, longer than any was expected to,
        is better evidence than what was learned before.
        """
        near, far = self.expected(in_flight), self.expected(in_flight + DEEPER)
        if self._order and oldest_age > OVERDUE * near:
            near, far = oldest_age, far + oldest_age - near
        return Load(in_flight, near, max(near, far))


def _bucket(in_flight: float) -> int:
    whole = max(0, round(in_flight))
    if whole < SMALL:
        return whole
    return min(MAX_BUCKETS, SMALL + int(math.log(whole / SMALL) / WIDTH))


def _rising(order: list[_Bucket], samples: int) -> list[float]:
    """Return the delay of each bucket, where neighbours that fall share their weighted mean.

    Work does not get done sooner for being more: what looks like it is chance, or of the past.
    """
    levels: list[tuple[float, float, int]] = []
    """Delay, weight, and number of buckets."""
    for bucket in order:
        delay, weight, count = bucket.delay, bucket.weight(samples), 1
        while levels and levels[-1][0] >= delay:
            other, its_weight, its_count = levels.pop()
            delay = (delay * weight + other * its_weight) / (weight + its_weight)
            weight, count = weight + its_weight, count + its_count
        levels.append((delay, weight, count))
    return [delay for delay, _, count in levels for _ in range(count)]
