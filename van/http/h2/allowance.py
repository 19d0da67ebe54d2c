"""How much of what costs us and carries nothing a peer may do: a bucket that fills with time and
work."""


class Allowance:
    """A bucket of so many tokens. Not thread-safe; the time is an argument, in seconds of any
    clock."""

    __slots__ = ("_capacity", "_now", "_rate", "_tokens", "earned")

    def __init__(self, capacity: int, rate: float, *, now: float) -> None:
        """Begin full; `rate` tokens come back each second."""
        self._capacity = capacity
        self._rate = rate
        self._tokens: float = capacity
        self._now = now
        self.earned = 0
        """Tokens to put back for work that was done; add to it."""

    def spend(self, *, now: float) -> bool:
        """Take one token; tell whether there was one."""
        tokens = self._tokens + self.earned + (now - self._now) * self._rate
        self._tokens = min(self._capacity, tokens)
        self._now, self.earned = now, 0
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
