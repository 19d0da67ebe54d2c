"""What carries a simulated network: a clock, links with delays, and engines driven as a shell does.

A link behaves as TCP does: in order, nothing lost while it is open, and an end that closes tells
the other, if the path in that direction works. What befalls the network is in `simulation`.
"""

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from lab.routing.authority import Authority, SiteKeyring
from lab.routing.topology import Link, Site
from lab.routing.traffic import Traffic
from van.errors import LocalError
from van.routing.actions import (
    AdvertisementDropped,
    FibChanged,
    NeighborContested,
    NeighborSilent,
    OwnIncarnationAdvanced,
    Send,
)
from van.routing.engine.engine import Engine
from van.routing.schedule.timers import Timers
from van.wire.framing import FrameReader, Message
from van.wire.link import CODEC, MAX_MESSAGE

if TYPE_CHECKING:
    from van.routing.paths.fib import Fib

HOLD_INTERVALS = 3.5
"""Hold time in heartbeat intervals."""
RETRY_INTERVAL = 0.2
"""How long a site waits before it dials a lost link again."""
JITTER = 0.1
"""Share of a link's delay by which it varies, unless the delay is fixed."""

Delay = float | tuple[float, float]
"""Seconds that bytes take: the same on each link, or drawn for each between two bounds."""


class Fabric:
    """Drives the engines; every run with the same seed and calls is the same.

    With `is_fast`, messages are handed over as they are, without being encoded and decoded.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        timers: Timers | None = None,
        delay: Delay = (0.0005, 0.02),
        is_fast: bool = False,
        engine_class: type[Engine] = Engine,
    ) -> None:
        self.now = 1000.0
        self.rng = Random(seed)
        self.timers = timers or Timers()
        self.authority = Authority()
        self.sites: dict[str, Site] = {}
        self.links: dict[frozenset[str], Link] = {}
        self.traffic = Traffic()
        self.fib_changes: Counter[str] = Counter()
        self.fib_watchers: list[Callable[[str, Fib], None]] = []
        """Called with a site and its new table."""
        self.silences: list[tuple[str, str]] = []
        self.contests: list[tuple[str, str]] = []
        self.dropped: list[AdvertisementDropped] = []
        self.unquiet_at = self.now
        """When a table or a link last changed."""
        self._delay = delay
        self._is_fast = is_fast
        self._engine_class = engine_class
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._sessions = itertools.count(1)

    def link(self, a: str, b: str) -> Link:
        return self.sites[a].links[self.called(b)]

    def engine(self, name: str) -> Engine:
        return self.sites[name].engine

    def called(self, name: str) -> str:
        """Return what a site calls itself, which may be another one's name."""
        return self.sites[name].keyring.site

    # Time

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = until

    def run_until(self, is_reached: Callable[[], bool], most: float) -> None:
        """Let time pass until something is so, but no longer than `most` seconds."""
        until = self.now + most
        while not is_reached() and self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()

    def at(self, when: float, event: Callable[[], None]) -> None:
        """Let something happen at a time to come."""
        heapq.heappush(self._events, (when, next(self._order), event))

    def clock(self, site: str) -> float:
        """Return what a site takes for the time."""
        state = self.sites[site]
        state.clock = max(state.clock, self.now + state.clock_offset)
        return state.clock

    # Links

    def _make_link(self, a: str, b: str, costs: dict[str, int]) -> Link:
        if isinstance(self._delay, tuple):
            delay, jitter = self.rng.uniform(*self._delay), JITTER
        else:
            delay, jitter = self._delay, 0.0
        link = Link((a, b), delay, jitter, costs)
        self.links[link.name] = link
        self.sites[a].links[self.called(b)] = self.sites[b].links[self.called(a)] = link
        return link

    def _dial(self, link: Link) -> None:
        """Open a connection if it can be; else whatever makes it possible will dial again."""
        a, b = link.ends
        if not link.is_wanted or link.blocked or link.is_up():
            return
        if any(not self.sites[end].is_running or self.sites[end].is_stopped for end in link.ends):
            return
        session = next(self._sessions)
        self._carry(link, a, lambda: self._open(link, b, session))
        self._open(link, a, session)

    def _open(self, link: Link, site: str, session: int, *, hold_time: float | None = None) -> None:
        peer = link.other(site)
        neighbor = self.called(peer)
        if not self.sites[site].is_running:
            return
        if link.sessions.pop(site, None) is not None:
            self.engine(site).link_closed(neighbor, now=self.clock(site))
        link.sessions[site] = session
        self.unquiet_at = self.now
        try:
            self.engine(site).link_opened(
                neighbor,
                cost=link.costs[site],
                hold_time=hold_time or self.timers.heartbeat_interval * HOLD_INTERVALS,
                now=self.clock(site),
                origin=self.sites[peer].keyring.proof(),
                incarnation=self.sites[peer].incarnation,
            )
        except LocalError:
            self._close(link, site)
        self._pump(site)

    def _close(self, link: Link, site: str) -> None:
        """Close one end; the other hears of it if bytes pass."""
        session = link.sessions.pop(site, None)
        if session is None:
            return
        self.unquiet_at = self.now
        if self.sites[site].is_running:
            self.engine(site).link_closed(self.called(link.other(site)), now=self.clock(site))
            self._pump(site)
        self._carry(link, site, lambda: self._end(link, link.other(site), session))
        self._dial_later(link)

    def _dial_later(self, link: Link) -> None:
        if link.redials_at > self.now:
            return  # else two ends that refuse each other would dial more and more often
        link.redials_at = self.now + RETRY_INTERVAL
        self.at(link.redials_at, lambda: self._dial(link))

    def _end(self, link: Link, site: str, session: int) -> None:
        """Let an end learn that the other closed the connection."""
        if link.sessions.get(site) == session:
            self._close(link, site)

    def _carry(self, link: Link, source: str, event: Callable[[], None]) -> None:
        """Let something happen at the far end when bytes sent now arrive there."""
        if source in link.blocked:
            return
        jitter = self.rng.uniform(0.0, link.jitter) * link.delay if link.jitter else 0.0
        arrival = max(link.arrivals.get(source, 0.0), self.now + link.delay + jitter)
        link.arrivals[source] = arrival
        self.at(arrival, lambda: self._arrive(link.other(source), event))

    def _arrive(self, site: str, event: Callable[[], None]) -> None:
        state = self.sites[site]
        if state.is_stopped:
            state.unread.append(event)
        else:
            event()

    # Engines

    def _make_engine(self, keyring: SiteKeyring, incarnation: int, now: float) -> Engine:
        rng = Random(self.rng.getrandbits(64))
        return self._engine_class(
            keyring.site, keyring, incarnation=incarnation, timers=self.timers, rng=rng, now=now
        )

    def _pump(self, site: str) -> None:
        """Carry out an engine's actions, and note when it wants to be called."""
        state = self.sites[site]
        while (action := state.engine.next_action()) is not None:
            match action:
                case Send():
                    self._send(site, action.neighbor, action.message)
                case NeighborSilent(neighbor):
                    self.silences.append((site, neighbor))
                    self._close(self.link(site, neighbor), site)
                case NeighborContested(neighbor):
                    self.contests.append((site, neighbor))
                    self._close(self.link(site, neighbor), site)
                case FibChanged(fib):
                    self.unquiet_at = self.now
                    self.fib_changes[site] += 1
                    for watcher in self.fib_watchers:
                        watcher(site, fib)
                case OwnIncarnationAdvanced(incarnation):
                    state.incarnation = incarnation
                case AdvertisementDropped():
                    self.dropped.append(action)
        self._wake_in_time(site)

    def _wake_in_time(self, site: str) -> None:
        state = self.sites[site]
        when = state.engine.next_timer() - state.clock_offset
        if when < state.wakes_at:
            state.wakes_at = when
            self.at(when, lambda: self._wake(site, when))

    def _wake(self, site: str, when: float) -> None:
        state = self.sites[site]
        if state.wakes_at != when:
            return
        state.wakes_at = math.inf
        if not state.is_running or state.is_stopped:
            return
        due = state.engine.next_timer()
        if due - state.clock_offset <= self.now:
            # A sum may be rounded below the time that it was made from.
            state.clock = max(state.clock, due)
            self._handle_timer(site)
        else:
            self._wake_in_time(site)

    def _handle_timer(self, site: str) -> None:
        self.engine(site).handle_timer(now=self.clock(site))
        self._pump(site)

    def _send(self, site: str, neighbor: str, message: Message) -> None:
        link = self.link(site, neighbor)
        session = link.sessions.get(site)
        if session is None:
            return
        data = None if self._is_fast else CODEC.encode(message)
        self.traffic.add(link.name, message, data)
        peer = link.other(site)
        self._carry(link, site, lambda: self._deliver(link, peer, session, data or message))

    def _deliver(self, link: Link, site: str, session: int, carried: bytes | Message) -> None:
        if link.sessions.get(site) != session or not self.sites[site].is_running:
            return
        message = _decoded(carried) if isinstance(carried, bytes) else carried
        self.engine(site).receive(
            self.called(link.other(site)),
            message,  # type: ignore[arg-type]
            now=self.clock(site),
        )
        self._pump(site)


def _decoded(data: bytes) -> Message:
    reader = FrameReader(max_payload=MAX_MESSAGE)
    reader.receive_data(data)
    frame = reader.next_frame()
    assert frame is not None
    message = CODEC.decode(*frame)
    assert message is not None
    return message
