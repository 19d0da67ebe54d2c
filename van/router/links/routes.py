"""Drives the routing engine: gives it the time and its messages, carries out what it decides."""

import logging
import math
import random
import time
from collections.abc import Callable
from typing import Final

import attrs
import trio

from van.routing.actions import (
    Action,
    AdvertisementDropped,
    AlternatesFound,
    CostChanged,
    FibChanged,
    LinkDamped,
    LinkReleased,
    NeighborContested,
    NeighborSilent,
    OwnIncarnationAdvanced,
    Send,
)
from van.routing.adjacency.neighbor import NeighborStatus
from van.routing.database.admission import Cause
from van.routing.database.keyring import Keyring, Origin
from van.routing.engine.engine import Engine
from van.routing.paths.fib import Fib
from van.routing.schedule.timers import Timers
from van.wire.link import RoutingMessage
from van.wire.lsa import Binding, Service

logger = logging.getLogger(__name__)

MAX_REPORTED_DROPS: Final = 100
"""Dropped advertisements that are written to the log; past that they are counted only."""


@attrs.frozen
class RoutesListener:
    """Whom to tell of the engine's decisions."""

    send: Callable[[str, RoutingMessage], None]
    gather: Callable[[], None]
    """Hands on what neighbours have sent by now, with `Routes.receive`."""
    neighbor_silent: Callable[[str, float], None]
    neighbor_contested: Callable[[str], None]
    alternates_found: Callable[[], None]
    fib_changed: Callable[[Fib, Fib], None]
    incarnation_advanced: Callable[[int], None]
    advertisement_dropped: Callable[[AdvertisementDropped], None]
    """Not called for one whose origin is unknown: its identity is on the way."""
    link_judged: Callable[[LinkDamped | LinkReleased | CostChanged], None]


class Routes:
    """The one holder of the engine; every call ends with its decisions carried out."""

    def __init__(
        self, site: str, keyring: Keyring, listener: RoutesListener, *, incarnation: int
    ) -> None:
        self._listener = listener
        self._engine = Engine(
            site,
            keyring,
            incarnation=incarnation,
            timers=Timers(),
            rng=random.Random(),  # spreads timers, guards nothing
            now=time.monotonic(),
        )
        self._timer_moved = trio.Event()
        self._wakes_at = math.inf
        """When `run` will call the engine if nobody wakes it before."""
        self._reported_drops = 0

    @property
    def engine(self) -> Engine:
        """Return the engine, to look at."""
        return self._engine

    @property
    def fib(self) -> Fib:
        """Return the present forwarding table."""
        return self._engine.fib

    @property
    def dropped_advertisements(self) -> dict[str, int]:
        """Return how many advertisements were not believed, by cause."""
        return dict(self._engine.dropped)

    def neighbors(self) -> tuple[NeighborStatus, ...]:
        """Return how the adjacencies stand."""
        return self._engine.neighbors()

    async def run(self) -> None:
        """Call the engine whenever its timer is due, until cancelled."""
        self._apply()
        while True:
            self._wakes_at = due = self._engine.next_timer()
            self._timer_moved = trio.Event()
            with trio.move_on_after(max(0.0, due - time.monotonic()) if due < math.inf else due):
                await self._timer_moved.wait()
            if self._engine.next_timer() <= time.monotonic():
                self._listener.gather()  # or a neighbour that has been heard might seem silent
                self._engine.handle_timer(now=time.monotonic())
                self._apply()

    def link_opened(
        self,
        neighbor: str,
        *,
        cost: int,
        hold_time: float,
        heartbeat_interval: float,
        origin: Origin,
    ) -> None:
        """Begin an adjacency; raise `LocalError` if there can be no such link."""
        self._engine.link_opened(
            neighbor,
            cost=cost,
            hold_time=hold_time,
            heartbeat_interval=heartbeat_interval,
            origin=origin,
            now=time.monotonic(),
        )
        self._apply()

    def link_closed(self, neighbor: str) -> None:
        """End an adjacency."""
        self._engine.link_closed(neighbor, now=time.monotonic())
        self._apply()

    def set_link_cost(self, neighbor: str, cost: int) -> None:
        """Use and advertise another cost."""
        self._engine.set_link_cost(neighbor, cost, now=time.monotonic())
        self._apply()

    def set_link_pace(self, neighbor: str, *, hold_time: float, heartbeat_interval: float) -> None:
        """Send and expect heartbeats at another pace."""
        self._engine.set_link_pace(
            neighbor,
            hold_time=hold_time,
            heartbeat_interval=heartbeat_interval,
            now=time.monotonic(),
        )
        self._apply()

    def set_transit(self, *, is_transit: bool) -> None:
        """Let others send through this site, or not."""
        self._engine.set_transit(is_transit=is_transit, now=time.monotonic())
        self._apply()

    def receive(self, neighbor: str, message: RoutingMessage, *, age: float = 0.0) -> None:
        """Take a message from a neighbour that came so many seconds ago.

        Raises `RemoteProtocolError` to be rid of the neighbour.
        """
        self._engine.receive(neighbor, message, now=time.monotonic(), age=age)
        self._apply()

    def heard(self, neighbor: str) -> None:
        """Take note that a neighbour sent something else."""
        self._engine.heard(neighbor, now=time.monotonic())

    def set_addresses(self, services: set[Service], listeners: set[Binding]) -> None:
        """Advertise these addresses; raise `LocalError` if they are too many."""
        self._engine.set_addresses(services, listeners, now=time.monotonic())
        self._apply()

    def refresh_identity(self) -> None:
        """Advertise the certificate in force anew."""
        self._engine.refresh_identity(now=time.monotonic())
        self._apply()

    def withdraw(self) -> None:
        """Tell the network that this site leaves."""
        self._engine.withdraw(now=time.monotonic())
        self._apply()

    def _apply(self) -> None:
        while (action := self._engine.next_action()) is not None:
            self._carry_out(action)
        # Most of what happens moves no timer nearer, and a task that is woken costs more than this.
        if self._engine.next_timer() < self._wakes_at:
            self._timer_moved.set()

    def _carry_out(self, action: Action) -> None:
        match action:
            case Send():
                self._listener.send(action.neighbor, action.message)
            case FibChanged():
                self._listener.fib_changed(action.fib, action.previous)
            case NeighborSilent():
                self._listener.neighbor_silent(action.neighbor, action.silence)
            case AlternatesFound():
                self._listener.alternates_found()
            case NeighborContested():
                self._listener.neighbor_contested(action.neighbor)
            case LinkDamped() | LinkReleased() | CostChanged():
                self._listener.link_judged(action)
            case OwnIncarnationAdvanced():
                self._listener.incarnation_advanced(action.incarnation)
            case AdvertisementDropped():
                self._report_drop(action)

    def _report_drop(self, drop: AdvertisementDropped) -> None:
        if drop.cause == Cause.UNKNOWN_ORIGIN.value:
            return  # its identity is on the way, and is asked for besides
        self._listener.advertisement_dropped(drop)
        self._reported_drops += 1
        if self._reported_drops <= MAX_REPORTED_DROPS:
            logger.warning(
                "advertisement of %s from %s dropped: %s: %s",
                drop.origin, drop.neighbor, drop.cause, drop.detail,
            )  # fmt: skip
