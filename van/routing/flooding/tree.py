"""From which neighbours new advertisements are wanted whole, so that few copies travel.

In a dense network, flooding over every link brings each site as many copies as it has neighbours.
So a site that keeps getting copies too late from a neighbour asks it to announce only; it fetches
what it hears of in that way and did not get. What remains grows into a tree with some spare
branches, which follows failures by itself: J. Leitão, J. Pereira, L. Rodrigues, "Epidemic Broadcast
Trees", SRDS 2007. Unlike there, each direction of a link is judged by its receiver alone, and a few
neighbours stay eager always, so that one failure leaves the tree whole and a sparse network is
flooded over all of its links.
"""

import math

import attrs

from van.routing.schedule.rng import Rng

MIN_EAGER = 3
"""Neighbours that send whole, at least: with two lost at one moment, advertisements still come
without the delay of an announcement."""
MAX_LATE = 3
"""Copies in a row that came too late before a neighbour is asked to announce only; a neighbour that
is the first one with the news of some part of the network so is not cut off by the news of
others."""


@attrs.define
class _Branch:
    is_eager: bool = True
    late: int = 0


class FloodTree:
    """Judges neighbours by what comes from them. Each call that returns names is to be followed by
    telling those neighbours the mode."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._branches: dict[str, _Branch] = {}

    def open(self, neighbor: str) -> None:
        """Begin with a neighbour, which sends whole until told otherwise."""
        self._branches[neighbor] = _Branch()

    def close(self, neighbor: str) -> str | None:
        """Forget a neighbour; return another one to be eager in its place, if one is needed."""
        self._branches.pop(neighbor, None)
        lazy = sorted(name for name, branch in self._branches.items() if not branch.is_eager)
        if not lazy or len(self._branches) - len(lazy) >= MIN_EAGER:
            return None
        chosen = lazy[math.floor(self._rng.random() * len(lazy))]
        self._branches[chosen] = _Branch()
        return chosen

    def received_first(self, neighbor: str) -> None:
        """Take note that a neighbour brought something new."""
        self._branches[neighbor].late = 0

    def received_late(self, neighbor: str) -> bool:
        """Take note of a copy of what was held; tell whether to let the neighbour announce only."""
        branch = self._branches[neighbor]
        branch.late += 1
        if not branch.is_eager or branch.late < MAX_LATE:
            return False
        if sum(each.is_eager for each in self._branches.values()) <= MIN_EAGER:
            branch.late = 0  # not to be counted through again at each copy
            return False
        branch.is_eager = False
        return True

    def missed(self, neighbor: str) -> bool:
        """Take note that a neighbour announced what nobody had sent; tell whether it was lazy, and
        is to be eager from now on."""
        branch = self._branches[neighbor]
        was_lazy = not branch.is_eager
        self._branches[neighbor] = _Branch()
        return was_lazy
