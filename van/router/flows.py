"""The flows that live at this site, for balancing, for `van status`, and for an orderly stop."""

import itertools
import time
from collections.abc import Callable
from typing import Final

import attrs
import trio

from van.api import FlowStatus

MAX_FLOWS: Final = 100_000
"""Flows at one time: a bound on memory; the descriptor limit is usually lower."""


Meter = Callable[[], tuple[int, int]]
"""Returns how many bytes went toward the target, and how many came from it."""


def _nothing_yet() -> tuple[int, int]:
    return 0, 0


@attrs.define(eq=False)
class Flow:
    """One live flow as this site sees it."""

    id: str
    role: str
    protocol: str
    address: str
    peer_site: str
    local: str
    opened_at: float
    meter: Meter = _nothing_yet

    def status(self, now: float) -> FlowStatus:
        """Return the flow as the control API shows it."""
        bytes_in, bytes_out = self.meter()
        return FlowStatus(
            id=self.id,
            role=self.role,
            protocol=self.protocol,
            address=self.address,
            peer_site=self.peer_site,
            local=self.local,
            age=now - self.opened_at,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
        )


class Flows:
    """Holds the live flows and counts all there were."""

    def __init__(self, incarnation: int) -> None:
        self.opened = 0
        self.refused = 0
        self.reset = 0
        self._incarnation = incarnation
        self._numbers = itertools.count(1)
        self._live: dict[Flow, None] = {}
        self._emptied = trio.Event()

    def __len__(self) -> int:
        return len(self._live)

    def new_id(self) -> str:
        """Return an id that no other flow from this site has."""
        return f"{self._incarnation:x}.{next(self._numbers):x}"

    def add(self, flow: Flow) -> None:
        """Count a flow as live; each call is paired with one of `remove`."""
        self._live[flow] = None
        self.opened += 1

    def remove(self, flow: Flow) -> None:
        """Count a flow as ended."""
        del self._live[flow]
        if not self._live:
            self._emptied.set()

    async def ended(self) -> None:
        """Wait until no flow is live."""
        while self._live:
            self._emptied = trio.Event()
            await self._emptied.wait()

    def statuses(self, limit: int) -> tuple[FlowStatus, ...]:
        """Return the oldest live flows."""
        now = time.monotonic()
        return tuple(flow.status(now) for flow in itertools.islice(self._live, limit))
