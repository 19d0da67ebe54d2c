"""Drives the routing engine: gives it the time and its messages, carries out what it decides."""

import logging
import math
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import trio

from van.router.links.table import LinkTable
from van.router.site.member import Member
from van.router.subscription import Subscribers
from van.routing.actions import (
    Action,
    AdvertisementDropped,
    AlternatesFound,
    CostChanged,
    FibChanged,
    IdentityShared,
    LinkDamped,
    LinkReleased,
    NeighborContested,
    NeighborSilent,
    OwnIncarnationAdvanced,
    Send,
    SiteLeft,
)
from van.routing.adjacency.neighbor import NeighborStatus
from van.routing.database.admission import Cause
from van.routing.database.keyring import Keyring, Origin
from van.routing.engine.copies import Run
from van.routing.engine.engine import Engine
from van.routing.schedule.timers import Timers
from van.tls.identity import SiteIdentity
from van.wire.link import RoutingMessage
from van.wire.lsa import Binding, IdentityBody, Service

if TYPE_CHECKING:
    from van.routing.paths.fib import Fib

logger = logging.getLogger(__name__)

MAX_REPORTED_DROPS: Final = 100
"""Dropped advertisements that are written to the log; past that they are counted only."""


class Routes:
    """The one holder of the engine; every call ends with its decisions carried out.

    All in trio's thread. What is decided is sent over the links at once; who else has to know has
    subscribed, and is told before the call that led to it returns. A subscriber may call again.
    """

    def __init__(
        self, site: str, keyring: Keyring, links: LinkTable, *, incarnation: int, run: Run
    ) -> None:
        self.fib_changed: Subscribers[[Fib, Fib]] = Subscribers()
        """Told the present table and the one before it."""
        self.alternates_found: Subscribers[[]] = Subscribers()
        self.neighbor_silent: Subscribers[[str, str]] = Subscribers()
        """Told a neighbour that is given up, and why."""
        self.neighbor_contested: Subscribers[[str, str]] = Subscribers()
        """Likewise, for one whose name is another site's."""
        self.incarnation_advanced: Subscribers[[int]] = Subscribers()
        self.identity_shared: Subscribers[[IdentityShared]] = Subscribers()
        self.site_left: Subscribers[[str, str]] = Subscribers()
        """Told the name, and the fingerprint of the key, of a site that has said goodbye for
        good."""
        self.advertisement_dropped: Subscribers[[AdvertisementDropped]] = Subscribers()
        """Not told of one whose origin is unknown: its identity is on the way."""
        self.link_judged: Subscribers[[LinkDamped | LinkReleased | CostChanged]] = Subscribers()
        self._links = links
        self._engine = Engine(
            site,
            keyring,
            incarnation=incarnation,
            run=run,
            timers=Timers(),
            rng=random.Random(),  # spreads timers, guards nothing
            now=time.monotonic(),
        )
        self.fib = self._engine.fib
        """The present forwarding table; no property, as each flow asks."""
        self._timer_moved = trio.Event()
        self._wakes_at = math.inf
        """When `run` will call the engine if nobody wakes it before."""
        self._reported_drops = 0

    @property
    def engine(self) -> Engine:
        """Return the engine, to look at."""
        return self._engine

    @property
    def dropped_advertisements(self) -> dict[str, int]:
        """Return how many advertisements were not believed, by cause."""
        return dict(self._engine.dropped)

    def neighbors(self) -> tuple[NeighborStatus, ...]:
        """Return how the adjacencies stand."""
        return self._engine.neighbors()

    def next_hop(self, site: str, choice: int = 0) -> str | None:
        """Return the neighbour on the best path to a site, the site itself when it is one.

        The choice is among paths of equal cost, which the ingress makes for every site on the way.
        """
        return self.fib.next_hop(site, choice)

    def second_hop(self, site: str) -> str | None:
        """Return the neighbour on another path to a site, or None."""
        return self._engine.second_hop(site)

    def identity_of(self, site: str) -> SiteIdentity | None:
        """Return the identity of a site that advertises itself, or None."""
        origin = self._engine.origin(site)
        return origin.identity if isinstance(origin, Member) else None

    def identities(self) -> Mapping[str, IdentityBody]:
        """Return what each known site tells of itself, this one among them."""
        return self._engine.identities()

    def software(self, site: str) -> str:
        """Return which version of van a site says that it runs; empty where that is not known."""
        said = self._engine.identities().get(site)
        return "" if said is None else said.software

    async def run(self) -> None:
        """Call the engine whenever its timer is due, until cancelled."""
        self._apply()
        while True:
            self._wakes_at = due = self._engine.next_timer()
            self._timer_moved = trio.Event()
            with trio.move_on_after(max(0.0, due - time.monotonic()) if due < math.inf else due):
                await self._timer_moved.wait()
            if self._engine.next_timer() <= time.monotonic():
                self._links.gather()  # or a neighbour that has been heard might seem silent
                self._engine.handle_timer(now=time.monotonic())
                self._apply()

    def check_link(self, neighbor: str, origin: Origin) -> None:
        """Raise `LocalError` if there can be no link to a neighbour now."""
        self._engine.check_link(neighbor, origin, now=time.monotonic())

    def link_opened(
        self,
        neighbor: str,
        *,
        cost: int,
        hold_time: float,
        heartbeat_interval: float,
        origin: Origin,
        incarnation: int,
    ) -> None:
        """Begin an adjacency; raise `LocalError` as `check_link` does."""
        self._engine.link_opened(
            neighbor,
            cost=cost,
            hold_time=hold_time,
            heartbeat_interval=heartbeat_interval,
            origin=origin,
            incarnation=incarnation,
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

    def drop_expelled(self) -> None:
        """Forget what sites advertise that are members no more."""
        self._engine.drop_expelled(now=time.monotonic())
        self._apply()

    def withdraw(self) -> None:
        """Tell the network that this site leaves."""
        self._engine.withdraw(now=time.monotonic())
        self._apply()

    def leave(self) -> None:
        """Tell the network, after `withdraw`, that this site is gone for good."""
        self._engine.leave(now=time.monotonic())
        self._apply()

    def _apply(self) -> None:
        self.fib = self._engine.fib
        while (action := self._engine.next_action()) is not None:
            self._carry_out(action)
        # Most of what happens moves no timer nearer, and a task that is woken costs more than this.
        if self._engine.next_timer() < self._wakes_at:
            self._timer_moved.set()

    def _carry_out(self, action: Action) -> None:
        match action:
            case Send():
                self._links.send(action.neighbor, action.message)
            case FibChanged():
                self.fib_changed.tell(action.fib, action.previous)
            case NeighborSilent():
                self._give_up_silent(action.neighbor, action.silence)
            case AlternatesFound():
                self.alternates_found.tell()
            case NeighborContested():
                self._give_up_contested(action.neighbor)
            case LinkDamped() | LinkReleased() | CostChanged():
                self.link_judged.tell(action)
            case _:
                self._report(action)

    def _report(self, action: Action) -> None:
        """Tell of what has happened elsewhere."""
        match action:
            case OwnIncarnationAdvanced():
                self.incarnation_advanced.tell(action.incarnation)
            case IdentityShared():
                self.identity_shared.tell(action)
            case SiteLeft():
                self.site_left.tell(action.site, action.key_id)
            case AdvertisementDropped():
                self._report_drop(action)

    def _give_up_silent(self, neighbor: str, silence: float) -> None:
        self._links.break_off(neighbor, f"silent for {silence:.1f} s")
        self.neighbor_silent.tell(neighbor, f"site {neighbor!r} is silent")

    def _give_up_contested(self, neighbor: str) -> None:
        reason = f"site name {neighbor!r} belongs to another site, which came first"
        self._links.break_off(neighbor, reason)
        self.neighbor_contested.tell(neighbor, reason)

    def _report_drop(self, drop: AdvertisementDropped) -> None:
        if drop.cause == Cause.UNKNOWN_ORIGIN.value:
            return  # its identity is on the way, and is asked for besides
        self.advertisement_dropped.tell(drop)
        self._reported_drops += 1
        if self._reported_drops <= MAX_REPORTED_DROPS:
            logger.warning(
                "advertisement of %s from %s dropped: %s: %s",
                drop.origin, drop.neighbor, drop.cause, drop.detail,
            )  # fmt: skip
