"""Whether a connection gets on, by what the kernel tells of it now and then. No I/O."""

from typing import Final

from van.router.reactor.tcp_info import TcpInfo

ROUND_TRIPS: Final = 2
"""Without any news of what was sent, after which a connection stands still: what is lost and sent
again at once takes less, most often."""
PATIENCE: Final = 0.04
"""Seconds after which it does at least: for so long a system may wait before it acknowledges."""


class Progress:
    """Tells whether a connection stands still: what was sent is not acknowledged in time, or waits
    for a timer."""

    __slots__ = ("_acknowledged", "_since", "is_stalled")

    def __init__(self) -> None:
        self.is_stalled = False
        self._acknowledged = 0
        self._since: float | None = None
        """When there was the last progress, while something is on its way."""

    def look(self, info: TcpInfo, now: float) -> None:
        """Take note of how it is now."""
        if not info.in_flight:
            self._since = None
        elif self._since is None or info.acknowledged != self._acknowledged:
            self._since = now
        self._acknowledged = info.acknowledged
        patience = max(PATIENCE, ROUND_TRIPS * info.round_trip)
        is_late = self._since is not None and now - self._since >= patience
        self.is_stalled = is_late or (info.is_timed_out and info.in_flight > 0)
