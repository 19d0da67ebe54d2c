"""The flows that live at this site, for balancing, for `van status`, and for an orderly stop."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import trio

from van.control.values.status import FlowStatus
from van.router.flow.endings import Endings
from van.router.flow.flow import Flow
from van.router.flow.outcome import Ending


class Flows:
    """Holds the live flows and counts all there were."""

    def __init__(self, incarnation: int, clock: Callable[[], float]) -> None:
        """The clock is that of the event loop, in seconds."""
        self.refused = 0
        self.reset = 0
        self.dropped_datagrams: Counter[str] = Counter()
        """Those of UDP sessions, by cause."""
        self.endings = Endings(clock)
        self._clock = clock
        self._prefix = f"{incarnation:x}."
        self._numbers = itertools.count(1)
        self._opened = 0
        """Those that have ended."""
        self._live: dict[Flow, None] = {}
        self._emptied = trio.Event()

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Flow]:
        return iter(tuple(self._live))

    @property
    def opened(self) -> int:
        """Return how many flows a target took; one that every target refused is not among them."""
        return self._opened + sum(flow.is_opened for flow in self._live)

    def carried_by_any(self, carriers: Iterable[object]) -> int:
        """Return how many live flows some of these move the bytes of."""
        known = set(map(id, carriers))
        return sum(id(flow.carrying) in known for flow in self._live)

    def new_id(self) -> str:
        """Return an id that no other flow from this site has."""
        return f"{self._prefix}{next(self._numbers):x}"

    def add(self, flow: Flow) -> None:
        """Count a flow as live; each call is paired with one of `remove`."""
        self._live[flow] = None

    def count_refused(self, flow: Flow, reason: str, *, is_put_off: bool = False) -> None:
        """Count a flow, which is live, as refused, unless it may come back, and be taken."""
        self.refused += not is_put_off
        flow.ending, flow.detail = Ending.REFUSED, reason

    def count_reset(self, flow: Flow, reason: str) -> None:
        """Count a flow, which is live, as broken off."""
        self.reset += 1
        flow.ending, flow.detail = Ending.RESET, reason

    def turn_away(self, flow: Flow, reason: str, *, is_put_off: bool = False) -> None:
        """Count a flow as refused that never was live; as `count_refused`."""
        self.count_refused(flow, reason, is_put_off=is_put_off)
        self.endings.record(flow, (0, 0))

    def remove(self, flow: Flow) -> None:
        """Count a flow as ended, which nothing carries any more."""
        del self._live[flow]
        self._opened += flow.is_opened
        self.endings.record(flow, flow.carrying.meter() if flow.carrying else (0, 0))
        flow.carrying = None
        if not self._live:
            self._emptied.set()

    async def ended(self) -> None:
        """Wait until no flow is live."""
        while self._live:
            self._emptied = trio.Event()
            await self._emptied.wait()

    def break_off(self) -> None:
        """Break off all that are still carried."""
        for flow in list(self._live):
            if flow.carrying is not None:
                flow.carrying.abort("the router has stopped")

    def statuses(self, limit: int) -> tuple[FlowStatus, ...]:
        """Return the oldest live flows."""
        now = self._clock()
        return tuple(flow.status(now) for flow in itertools.islice(self._live, limit))
