"""What routing asks of a source of randomness; any `random.Random` will do."""

from typing import Protocol


class Rng(Protocol):
    """A source of randomness, handed in so that a run can be repeated."""

    def random(self) -> float:
        """Return a number from 0 to less than 1."""

    def uniform(self, a: float, b: float, /) -> float:
        """Return a number between the two."""

    def getrandbits(self, k: int, /) -> int:
        """Return a whole number of that many random bits."""
