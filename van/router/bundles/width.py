"""How many bundles there should be between two sites, by what the kernel tells of loss. No I/O.

Whatever is lost holds up all flows of its bundle, and halves what that may have on its way. So
where much is lost there are more of them, each with less on its way; but not so little that
what is lost has nothing behind it which would tell of that, or each loss waits for a timer.
"""

import math
from typing import Final

import attrs

MOST: Final = 8
"""Bundles between two sites at most: each takes 36 kB at either end, and more have brought nothing
on any path that was measured."""
LONG: Final = 0.005
"""Seconds of a round trip from which on a path is long: on a shorter one what holds a bundle up is
a busy machine, of which two bundles have no more than one."""
MANY_LOSSES: Final = 0.1
"""Segments lost for each round trip and bundle, above which one more is better: in more than a
tenth of the time a bundle would recover from a loss."""
FEW_IN_FLIGHT: Final = 4
"""Segments on their way on a bundle, below which one less is: the third behind a lost one has it
sent again, and without any a timer has to run out."""
OFTEN: Final = 1 / 3
"""Share of the looks at which something waits for the path, above which one more is better."""
SELDOM: Final = 0.0002
"""Share of lost segments up to which a path loses nothing that would matter: a busy machine sends
some again which have only been late."""
MEMORY: Final = 4.0
"""Seconds after which what was seen counts for about a third."""
STEP: Final = 0.5
"""Seconds from one more to yet one more, in which the last one shows what it does."""
CALM: Final = 5.0
"""Seconds for which there is little before there is one less: programs pause."""
LOSSY: Final = 30.0
"""Seconds of a loss for which a path is lossy."""


@attrs.frozen
class Moved:
    """What was sent over all bundles between two sites, in one direction and from one look to the
    next."""

    seconds: float
    segments: int
    lost: int
    round_trip: float
    shortest: float
    """The least round trip of the last minutes."""
    bundles: int
    """Those that there are."""
    is_held_up: bool = False
    """Whether something waits for the path, and is not bulk."""


@attrs.define
class Width:
    """Says how many bundles are wanted, as one direction needs them."""

    wanted: int = 1
    """Between 1 and `MOST`."""
    _seconds: float = 0.0
    _segments: float = 0.0
    _lost: float = 0.0
    _looks: float = 0.0
    _held_up: float = 0.0
    _changed_at: float = -math.inf
    _little_since: float = math.inf
    _lossy_until: float = -math.inf

    def begin(self, shortest: float) -> None:
        """Take note of a first bundle: along a long path there are two from the beginning, as
        flows that have begun stay where they are."""
        if shortest >= LONG:
            self.wanted = max(2, self.wanted)

    def is_lossy(self, now: float) -> bool:
        """Tell whether something has been lost of late."""
        return now < self._lossy_until

    def look(self, moved: Moved, now: float) -> None:
        """Think again, with what has been sent since the last time."""
        self._remember(moved)
        if moved.lost and self._lost > SELDOM * self._segments:
            self._lossy_until = now + LOSSY
        if not self._seconds or not moved.bundles:
            return
        in_flight = self._segments / self._seconds * moved.round_trip
        if in_flight >= FEW_IN_FLIGHT * self.wanted:
            self._little_since = math.inf
        else:
            self._little_since = min(self._little_since, now)
        # Where something is lost, what one holds up can go by another.
        least = 2 if self.is_lossy(now) else 1
        if self.wanted < least or self._needs_more(moved, in_flight, now):
            self._want(self.wanted + 1, now)
        elif self.wanted > least and now - self._little_since >= CALM:
            self._want(self.wanted - 1, now)

    def _needs_more(self, moved: Moved, in_flight: float, now: float) -> bool:
        if (
            self.wanted >= MOST
            or self.wanted > moved.bundles
            or now - self._changed_at < STEP
            or in_flight < FEW_IN_FLIGHT * (self.wanted + 1)
        ):
            return False
        losses = self._lost / self._seconds * moved.round_trip / moved.bundles
        is_long = moved.shortest >= LONG
        is_held_up = self._held_up > OFTEN * self._looks
        return losses > MANY_LOSSES or (is_long and (is_held_up or self.wanted == 1))

    def _remember(self, moved: Moved) -> None:
        fade = math.exp(-moved.seconds / MEMORY)
        self._seconds = self._seconds * fade + moved.seconds
        self._segments = self._segments * fade + moved.segments
        self._lost = self._lost * fade + moved.lost
        self._looks = self._looks * fade + 1
        self._held_up = self._held_up * fade + moved.is_held_up

    def _want(self, count: int, now: float) -> None:
        self.wanted = count
        self._changed_at = now
        self._little_since = math.inf
