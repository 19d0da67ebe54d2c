"""How soon a site answers us, of what its answers to our own requests took.

A machine pauses at times, and makes an answer late, or all of a burst. So the latest of the last
few do not count, and what little a few tell is known to be little.
"""

import math
from collections import deque
from collections.abc import Iterable

import attrs

from van.balancing.delay_curve import OVERDUE

ENOUGH = 5
"""Rounds of answers that say how soon a site answers: what fewer tell is as likely a pause of the
machine that one of them met."""
UNSURE = 0.15
"""Part of it by which a single answer may be far from that of a great many, at least."""
PAUSE = 0.005
"""Seconds by which any machine makes a single answer late at times."""
UNKNOWN_SPREAD = 1.0
"""Part of it by which one answer may be wrong while no site has had a second to compare it with."""
LAST = 16
"""Rounds that are remembered. A mean of fewer is so noisy that requests beside many flows that
stay, whose number it is multiplied by, come to sites that are busy."""
LATE = 0.25
"""Part of these that does not count: the latest, of more than one at least one."""
QUICK = 3
"""Rounds in a row, far sooner than usual, at which all others are forgotten: it has recovered."""


@attrs.define
class AnswerTimes:
    """How long the answers to our own requests took at a site, the path included.

    Of those that were asked for before the first of them came, only that one counts: they wait
    together, are late together, and tell no more than one of them.
    """

    rounds: int = 0
    """Answers that count, of all times."""
    typical: float = 0.0
    """Seconds: the mean of the last but the latest; 0 while there was none."""
    spread: float = 0.0
    """Mean of how far the last are from that; 0 before there are two."""
    error: float = 0.0
    """About how far that may be from that of a great many."""
    address_spread: float = 0.0
    """What the spread was for the address, as a part of what an answer takes, when these came."""
    _last: deque[float] = attrs.field(factory=lambda: deque(maxlen=LAST))
    _quick: int = 0
    _round_until: float = -math.inf

    @property
    def are_enough(self) -> bool:
        """Tell whether they say something of the site."""
        return self.rounds >= ENOUGH

    @property
    def relative_spread(self) -> float:
        """Return the spread as a part of what an answer takes; 0 before there are two."""
        return self.spread / self.typical if self.typical else 0.0

    def add(self, took: float, now: float, address_spread: float = UNSURE) -> None:
        """Take one that came now, in seconds, and how far those of the address are apart by now."""
        if now - took < self._round_until:
            return
        self._round_until = now
        self.rounds += 1
        self.address_spread += (address_spread - self.address_spread) / self.rounds
        self._last.append(took)
        self._quick = self._quick + 1 if OVERDUE * took < self.typical else 0
        if self._quick >= QUICK:
            while len(self._last) > QUICK:
                self._last.popleft()
        count = len(self._last)
        late = math.ceil(LATE * count) if count > 1 else 0
        self.typical = sum(sorted(self._last)[: count - late]) / (count - late)
        self.spread = sum(abs(each - self.typical) for each in self._last) / max(1, count - 1)
        self.error = max(self.spread, UNSURE * self.typical) / math.sqrt(count)

    def error_of_few(self, answer: float, spread: float) -> float:
        """Return how far `answer` may be from that of a great many, where there are too few to say
        so of themselves, by what the spread is for the address by now.

        What they were apart as these came counts if it was less: a burst that makes all late
        says nothing of an answer from before it.
        """
        if self.rounds:
            spread = min(spread, self.address_spread)
        return max(self.error, max(spread * answer, PAUSE) / math.sqrt(max(1, self.rounds)))


def spread_of(answers: Iterable[AnswerTimes]) -> float:
    """Return by what part single answers are apart at the site where they are furthest.

    So a machine that is late, which makes equal sites look unequal, is known by how uneven it is.
    """
    found = [each.relative_spread for each in answers if each.rounds > 1]
    return max(UNSURE, *found) if found else UNKNOWN_SPREAD
