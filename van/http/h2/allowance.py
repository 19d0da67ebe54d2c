"""How much of what costs us and carries nothing a peer may do: a bucket that fills with time and
work."""


class Allowance:
    """A bucket of so many tokens. Not thread-safe; the time is an argument, in seconds of any
    clock."""

    __slots__ = ("_capacity", "_now", "_rate", "_tokens")

    def __init__(self, capacity: int, rate: float, *, now: float) -> None:
        """Begin full; `rate` tokens come back each second."""
        self._capacity = capacity
        self._rate = rate
        self._tokens: float = capacity
        self._now = now

    def spend(self, *, now: float) -> bool:
        """Take one token; tell whether there was one."""
        self.earn((now - self._now) * self._rate)
        self._now = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def earn(self, count: float) -> None:
        """Put so many back, for work that was done."""
        tokens = self._tokens + count
        # With min() this takes three times as long, and each frame that does work comes here.
        self._tokens = tokens if tokens < self._capacity else self._capacity  # noqa: FURB136
