"""What happened to a router's links and routes, for people: the last thousand events.

What is an event is decided by those who record it. A program that wants the present state asks
for the status; this tells how it came about.
"""

import enum
import logging
import secrets
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

import attrs
import trio

logger = logging.getLogger(__name__)

MAX_EVENTS: Final = 1000
"""Events that are kept: some hundred kilobytes, and more than a person will read."""
TOLD_AGAIN: Final = timedelta(hours=1)
"""Time after which what goes on is told of again."""
MAX_TOLD: Final = 256
"""Things that go on, of which it is remembered that they were told."""


class EventKind(enum.StrEnum):
    """What happened."""

    ROUTER_STARTED = "router-started"
    PORT_FAILED = "port-failed"
    """The link port can't be opened yet."""
    PORT_OPEN = "port-open"
    """It can, after all."""
    LINK_UP = "link-up"
    LINK_DOWN = "link-down"
    LINK_FAILED = "link-failed"
    """Dialling came to nothing, for another reason than the last time."""
    PEER_REFUSED = "peer-refused"
    """Somebody was not let in at the link port, or did not believe this site."""
    LINK_DAMPED = "link-damped"
    """It came and went too often, and is not used for a while."""
    LINK_RELEASED = "link-released"
    COST_CHANGED = "cost-changed"
    SITE_REACHED = "site-reached"
    SITE_LOST = "site-lost"
    SITE_LEFT = "site-left"
    """It has said goodbye for good, and its name is free."""
    SITE_EXPELLED = "site-expelled"
    """It is a member of the VAN no more, by the word of an authority."""
    EXPULSIONS_OVERRULED = "expulsions-overruled"
    """Who has expelled others was expelled by an authority nearer to the root: they are members."""
    AUTHORITY_CHANGED = "authority-changed"
    """This site holds another authority of the VAN than before."""
    SITE_FORGOTTEN = "site-forgotten"
    """Its key is lost, by the word of an authority: another one may have its name."""
    SITE_KEY_CHANGED = "site-key-changed"
    """Another key has its name now."""
    POLICY_CHANGED = "policy-changed"
    """The VAN allows something else than before, by the word of an authority."""
    TRAIL_REFUSED = "trail-refused"
    """Its audit trail is another than it was when that was copied, or it keeps no copy of ours."""
    ROOT_REPLACED = "root-replaced"
    """What rests on an older root of the VAN counts no more."""
    SITE_SILENT = "site-silent"
    """It takes flows, and does not answer."""
    ROUTE_CHANGED = "route-changed"
    PATH_FAILED = "path-failed"
    """No channel can be made along a path that routing holds for sound."""
    PATH_WELL = "path-well"
    ADDRESS_SERVED = "address-served"
    ADDRESS_LOST = "address-lost"
    TARGET_FAILED = "target-failed"
    """A target of this site is not well, and gets no flows."""
    TARGET_WELL = "target-well"
    COPY_LOST = "copy-lost"
    """An instance, or a site, gets no more of a stream that goes to all of them."""
    ADVERTISEMENT_DROPPED = "advertisement-dropped"
    CLOCKS_DIFFER = "clocks-differ"
    """The wall clock of a neighbour is not ours."""
    IDENTITY_SHARED = "identity-shared"
    """Two routers run with the keys of one site."""
    NAME_CONTESTED = "name-contested"
    """Two sites have one name."""
    TRANSIT_CHANGED = "transit-changed"
    INCARNATION_ADVANCED = "incarnation-advanced"


@attrs.frozen
class Event:
    """One thing that happened. The time is the wall clock's, as people compare it with others."""

    number: int
    """Counts from 1 since the router started, without a gap."""
    at: datetime
    kind: EventKind
    subject: str
    """The site, neighbour, or address that it happened to; empty when it is several."""
    text: str


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)


class EventLog:
    """Numbers events and keeps the last ones; whoever waits for the next is woken."""

    def __init__(self, *, size: int = MAX_EVENTS, clock: Callable[[], datetime] = utc_now) -> None:
        self.start_id: Final = secrets.token_hex(8)
        """Tells one start of the router from another, for the numbers begin anew."""
        self._events: deque[Event] = deque(maxlen=size)
        self._clock = clock
        self._last = 0
        self._told: dict[tuple[EventKind, str, str], datetime] = {}
        self._recorded = trio.Event()

    def __repr__(self) -> str:
        return f"<EventLog last={self._last} kept={len(self._events)}>"

    @property
    def last(self) -> int:
        """Return the number of the last event, or 0 before there is one."""
        return self._last

    def record(self, kind: EventKind, subject: str, text: str) -> None:
        """Take note of an event; the oldest one makes way when there are too many."""
        self._last += 1
        self._events.append(Event(self._last, self._clock(), kind, subject, text))
        logger.info("%s%s: %s", kind.value, subject and f" {subject}", text)
        recorded, self._recorded = self._recorded, trio.Event()
        recorded.set()

    def record_rarely(self, kind: EventKind, subject: str, text: str, *, about: str) -> None:
        """Take note of what goes on, unless the same was told about the same within the hour."""
        now = self._clock()
        told = self._told
        if now - told.get((kind, subject, about), now - TOLD_AGAIN) < TOLD_AGAIN:
            return
        told[kind, subject, about] = now
        if len(told) > MAX_TOLD:
            del told[next(iter(told))]
        self.record(kind, subject, text)

    def after(self, number: int) -> tuple[Event, ...]:
        """Return the events with higher numbers that are kept, the oldest first."""
        return tuple(islice(self._events, max(0, number + 1 - self._oldest), None))

    def lost_after(self, number: int) -> int:
        """Return how many events with higher numbers are kept no more."""
        return max(0, self._oldest - 1 - number)

    async def wait_after(self, number: int, timeout: float) -> None:
        """Wait until there is an event with a higher number, or for so many seconds.

        A number above the last one is of an earlier start: there is nothing to wait for.
        """
        with trio.move_on_after(timeout):
            while number == self._last:
                await self._recorded.wait()

    @property
    def _oldest(self) -> int:
        return self._last + 1 - len(self._events)
