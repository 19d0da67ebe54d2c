"""Flow control of what is received (RFC 9113, section 5.2): explicit, by what was taken."""


class ReceiveWindow:
    """What the peer may send, of one stream or of all. Not thread-safe."""

    __slots__ = ("_available", "_capacity", "_step", "_taken")

    def __init__(self, capacity: int, *, step: int) -> None:
        """`capacity` bytes may have come and be taken by nobody.

        The peer hears of what was taken when it is `step` bytes: half of a stream's window, for a
        connection as well, of which other streams may leave no more than one such window.
        """
        self._capacity = capacity
        self._step = step
        self._available = capacity
        self._taken = 0

    @property
    def untaken(self) -> int:
        """Return how many bytes have come that nobody has taken."""
        return self._capacity - self._available - self._taken

    def receive(self, size: int) -> bool:
        """Take note of bytes that came; tell whether they were within the window."""
        self._available -= size
        return self._available >= 0

    def take(self, size: int) -> int:
        """Take note of bytes that were taken; return by how much to open the peer's window, or 0.

        Raises `AssertionError` if they never came.
        """
        self._taken += size
        if self._capacity - self._available < self._taken:
            raise AssertionError(f"{size} bytes were taken, more than have come")
        if self._taken < self._step:
            return 0
        opened, self._taken = self._taken, 0
        self._available += opened
        return opened
