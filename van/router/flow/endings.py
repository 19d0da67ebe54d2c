"""How the last flows of this site ended, for a person who asks why one did.

Flows that were refused or broken off are kept apart from those that ended in order, which are many,
and would push the others out at once.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from van.control.values.flows import MAX_ENDINGS, FlowEnding
from van.router.flow.flow import Flow
from van.router.flow.outcome import Ending

MAX_DETAIL: Final = 500
"""Characters of a reason that are kept: a peer may have made it."""
# To look a member of an enum up takes longer than to do something with it.
_FINISHED: Final = Ending.FINISHED

_Kept = tuple[float, float, Flow, tuple[int, int]]
"""When, by the wall clock and by the loop's; the flow, which nothing carries; and its bytes."""


class Endings:
    """Keeps the last flows that have ended; in the event loop's thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: deque[_Kept] = deque(maxlen=MAX_ENDINGS)
        self._finished: deque[_Kept] = deque(maxlen=MAX_ENDINGS)

    def record(self, flow: Flow, passed: tuple[int, int]) -> None:
        """Take note of a flow that has ended, and of how many bytes it carried each way."""
        ring = self._finished if flow.ending is _FINISHED else self._failed
        ring.append((time.time(), self._clock(), flow, passed))

    def statuses(self) -> tuple[FlowEnding, ...]:
        """Return those that are kept, the oldest first."""
        kept = sorted((*self._failed, *self._finished), key=lambda each: each[1])
        return tuple(_describe(*each) for each in kept)


def _describe(at: float, now: float, flow: Flow, passed: tuple[int, int]) -> FlowEnding:
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return FlowEnding(
        id=flow.id,
        at=moment.replace("+00:00", "Z"),
        ending=flow.ending.value,
        detail=flow.detail[:MAX_DETAIL],
        role=flow.role,
        protocol=flow.protocol,
        address=flow.address,
        peer_site=flow.peer_site,
        local=flow.local,
        lasted=max(0.0, now - flow.opened_at),
        bytes_in=passed[0],
        bytes_out=passed[1],
    )
