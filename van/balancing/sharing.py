"""In which order a site's own instances of an address come for a flow: the soonest first.

Here every flow of each instance is seen, so that nothing has to be guessed of what others send. As
among sites (`van.balancing.standing`), a delay curve says nothing of flows that stay and ask
little: they count as if each were to ask at once. And differences that nobody could measure count
for nothing, or all flows would go where a measurement happened to be the least by a hair.
"""

import math
from collections.abc import Callable, Sequence

import attrs

from van.balancing.answer_times import ENOUGH
from van.balancing.standing import RESOLUTION, RESOLUTION_RATIO, SLOWEST, WAITING


@attrs.frozen
class Occupancy:
    """What is known of one instance."""

    delay: float
    """Seconds that one more piece of work is to take there; 0 while nothing is known."""
    alone: float
    """The same where it finds nothing."""
    flows: int
    waiting: int
    """Those of them that wait for an answer, which the delay counts."""
    weight: int = 1
    answers: int = 0
    """Those that these times were learnt from."""


LONG_PAUSE = 0.02
"""Seconds by which a busy machine makes a single answer late: of few, one such is much. The
curve's mean has it in full, where `van.balancing.answer_times` leaves the latest out."""


def in_order(found: Sequence[Occupancy], random: Callable[[], float]) -> list[int]:
    """Return the instances, as places in what is given, the one that gets the next flow first."""
    delays = _measurable(found, [each.delay for each in found])
    answers = _measurable(found, [each.alone for each in found])

    def rank(place: int) -> tuple[float, float, float]:
        each = found[place]
        held = each.flows - each.waiting + WAITING * each.waiting
        score = (delays[place] + held * answers[place]) / each.weight
        return score, each.flows / each.weight, random()

    return sorted(range(len(found)), key=rank)


def _measurable(found: Sequence[Occupancy], seconds: Sequence[float]) -> list[float]:
    """Return times of which those that are as short as the least, as far as can be told, are equal.

    Where nothing is known yet, the least that is known elsewhere is taken; where little is, nobody
    is believed to be far behind, for that alone would keep him from ever being known better.
    """
    least = min((each for each in seconds if each > 0), default=0.0)
    times = []
    for each, time in zip(found, seconds, strict=True):
        error = LONG_PAUSE / math.sqrt(max(1, each.answers))
        if time <= least + max(RESOLUTION, RESOLUTION_RATIO * least, error):
            times.append(least)
        elif each.answers < ENOUGH:
            times.append(min(time, SLOWEST * least))
        else:
            times.append(time)
    return times
