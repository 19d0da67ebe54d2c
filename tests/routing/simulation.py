"""A network of real engines on a simulated clock: links with delays, failures, and restarts.

A link behaves as TCP does: in order, nothing lost while it is open, and an end that closes tells
the other, if the path in that direction works. Messages travel as the bytes they have on the wire.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

import attrs
import networkx as nx

from tests.routing.authority import Authority, SiteKeyring
from van.routing.actions import (
    AdvertisementDropped,
    FibChanged,
    NeighborSilent,
    OwnIncarnationAdvanced,
    Send,
)
from van.routing.engine import Engine
from van.routing.timers import Timers
from van.wire.framing import FrameReader
from van.wire.link import CODEC, MAX_MESSAGE, Advertisements
from van.wire.lsa import Service

HOLD_INTERVALS = 3.5
"""Hold time in heartbeat intervals."""
RETRY_INTERVAL = 0.2
"""How long a site waits before it dials a lost link again."""


@attrs.define
class Link:
    """A link that two sites want; `sessions` tells for each end what connection it believes in."""

    ends: tuple[str, str]
    delay: float
    costs: dict[str, int]
    sessions: dict[str, int] = attrs.field(factory=dict)
    blocked: set[str] = attrs.field(factory=set)
    """Ends whose bytes vanish on the way."""
    is_wanted: bool = True
    arrivals: dict[str, float] = attrs.field(factory=dict)
    """When the last bytes from an end arrive: later ones don't overtake them."""

    def other(self, site: str) -> str:
        return self.ends[self.ends[0] == site]

    def is_up(self) -> bool:
        """Tell whether both ends believe in the same connection."""
        return len(self.sessions) == 2 and len(set(self.sessions.values())) == 1


@attrs.define
class Site:
    engine: Engine
    keyring: SiteKeyring
    incarnation: int
    services: tuple[Service, ...] = ()
    listeners: tuple[Service, ...] = ()
    is_running: bool = True
    is_stopped: bool = False
    """As by SIGSTOP: it neither reads nor notices the time."""
    unread: list[Callable[[], None]] = attrs.field(factory=list)


def service(address: str, protocol: str = "tcp") -> Service:
    return Service(address=address, protocol=protocol)


class Network:
    """Drives the engines; every run with the same seed and calls is the same."""

    def __init__(self, seed: int = 0, *, timers: Timers | None = None) -> None:
        self.now = 1000.0
        self.rng = Random(seed)
        self.timers = timers or Timers()
        self.authority = Authority()
        self.sites: dict[str, Site] = {}
        self.links: dict[frozenset[str], Link] = {}
        self.lsas_sent = 0
        self.messages_sent = 0
        self.fib_changes: Counter[str] = Counter()
        self.silences: list[tuple[str, str]] = []
        self.dropped: list[AdvertisementDropped] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._sessions = itertools.count(1)

    # Building

    def add_site(self, name: str, **permissions: Iterable[str]) -> None:
        keyring = self.authority.issue(name, **permissions)
        self.sites[name] = Site(self._make_engine(name, keyring, 1), keyring, 1)
        self._pump(name)

    def add_link(self, a: str, b: str, *, cost: int = 1, cost_back: int | None = None) -> Link:
        link = Link(
            ends=(a, b),
            delay=self.rng.uniform(0.0005, 0.02),
            costs={a: cost, b: cost if cost_back is None else cost_back},
        )
        self.links[frozenset((a, b))] = link
        self._dial(link)
        return link

    def add_graph(self, graph: nx.Graph) -> None:
        """Add the sites and links of a graph, all at once."""
        for node in graph:
            self.add_site(f"s{node}")
        for a, b, data in graph.edges(data=True):
            self.add_link(f"s{a}", f"s{b}", cost=data.get("cost", 1))

    def link(self, a: str, b: str) -> Link:
        return self.links[frozenset((a, b))]

    def engine(self, name: str) -> Engine:
        return self.sites[name].engine

    # What befalls it

    def cut(self, a: str, b: str) -> None:
        """Close a link at both ends, and don't dial it again."""
        link = self.link(a, b)
        link.is_wanted = False
        self._close(link, a)

    def join(self, a: str, b: str) -> None:
        """Dial a link that was cut."""
        link = self.link(a, b)
        link.is_wanted = True
        self._dial(link)

    def block(self, source: str, destination: str) -> None:
        """Let all bytes from one end vanish; neither end is told."""
        self.link(source, destination).blocked.add(source)

    def heal(self, a: str, b: str) -> None:
        """Let bytes pass again in both directions; what vanished is lost with its connection."""
        link = self.link(a, b)
        if not link.blocked:
            return
        link.blocked.clear()
        self._close(link, a)
        self._dial(link)

    def set_cost(self, site: str, neighbor: str, cost: int) -> None:
        self.link(site, neighbor).costs[site] = cost
        if self.sites[site].is_running:
            self.engine(site).set_link_cost(neighbor, cost, now=self.now)
            self._pump(site)

    def set_services(
        self, site: str, services: Iterable[Service], listeners: Iterable[Service] = ()
    ) -> None:
        state = self.sites[site]
        state.services, state.listeners = tuple(services), tuple(listeners)
        if state.is_running:
            state.engine.set_addresses(state.services, state.listeners, now=self.now)
            self._pump(site)

    def renewed(self, site: str) -> None:
        """Tell a site that its keyring has a new chain."""
        self.engine(site).refresh_identity(now=self.now)
        self._pump(site)

    def crash(self, site: str) -> None:
        """End a site's router without a word; its host closes the connections."""
        self.sites[site].is_running = False
        for link in self._links_of(site):
            self._close(link, site)

    def start(self, site: str, *, lost_state: bool = False, new_key: bool = False) -> None:
        """Start a crashed site again: one incarnation on, or at the first if its state is lost."""
        state = self.sites[site]
        state.incarnation = 1 if lost_state else state.incarnation + 1
        if new_key:
            state.keyring = self.authority.issue(site)
        state.engine = self._make_engine(site, state.keyring, state.incarnation)
        state.is_running = True
        state.engine.set_addresses(state.services, state.listeners, now=self.now)
        self._pump(site)
        for link in self._links_of(site):
            self._dial(link)

    def leave(self, site: str) -> None:
        """Shut a site down in order."""
        self.engine(site).withdraw(now=self.now)
        self._pump(site)
        self.crash(site)

    def stop(self, site: str) -> None:
        """Stop a site's process, as a debugger or a closed lid does."""
        self.sites[site].is_stopped = True

    def resume(self, site: str) -> None:
        """Let a stopped process go on; its timers are noticed first, then what waits unread."""
        state = self.sites[site]
        state.is_stopped = False
        self._handle_timer(site)
        unread, state.unread = state.unread, []
        for event in unread:
            event()

    # Time

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = until

    def settle(self) -> None:
        """Let as much time pass as the network needs to be quiet."""
        self.run(self.timers.heartbeat_interval * (HOLD_INTERVALS + 1) + 2.0)

    def _at(self, when: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), event))

    # Links

    def _links_of(self, site: str) -> list[Link]:
        return [link for link in self.links.values() if site in link.ends]

    def _dial(self, link: Link) -> None:
        """Open a connection if it can be; else whatever makes it possible will dial again."""
        a, b = link.ends
        if link.is_up() and not link.blocked:
            return
        if not link.is_wanted or link.blocked:
            return
        if any(not self.sites[end].is_running or self.sites[end].is_stopped for end in link.ends):
            return
        session = next(self._sessions)
        self._carry(link, a, lambda: self._open(link, b, session))
        self._open(link, a, session)

    def _open(self, link: Link, site: str, session: int) -> None:
        neighbor = link.other(site)
        if not self.sites[site].is_running:
            return
        if link.sessions.pop(site, None) is not None:
            self.engine(site).link_closed(neighbor, now=self.now)
        link.sessions[site] = session
        self.engine(site).link_opened(
            neighbor,
            cost=link.costs[site],
            hold_time=self.timers.heartbeat_interval * HOLD_INTERVALS,
            now=self.now,
        )
        self._pump(site)

    def _close(self, link: Link, site: str) -> None:
        """Close one end; the other hears of it if bytes pass."""
        session = link.sessions.pop(site, None)
        if session is None:
            return
        self.engine(site).link_closed(link.other(site), now=self.now)
        self._pump(site)
        self._carry(link, site, lambda: self._end(link, link.other(site), session))
        self._at(self.now + RETRY_INTERVAL, lambda: self._dial(link))

    def _end(self, link: Link, site: str, session: int) -> None:
        """Let an end learn that the other closed the connection."""
        if link.sessions.get(site) == session:
            self._close(link, site)

    def _carry(self, link: Link, source: str, event: Callable[[], None]) -> None:
        """Let something happen at the far end when bytes sent now arrive there."""
        if source in link.blocked:
            return
        jitter = self.rng.uniform(0.0, 0.1) * link.delay
        arrival = max(link.arrivals.get(source, 0.0), self.now + link.delay + jitter)
        link.arrivals[source] = arrival
        self._at(arrival, lambda: self._arrive(link.other(source), event))

    def _arrive(self, site: str, event: Callable[[], None]) -> None:
        state = self.sites[site]
        if state.is_stopped:
            state.unread.append(event)
        else:
            event()

    # Engines

    def _make_engine(self, name: str, keyring: SiteKeyring, incarnation: int) -> Engine:
        rng = Random(self.rng.getrandbits(64))
        return Engine(
            name, keyring, incarnation=incarnation, timers=self.timers, rng=rng, now=self.now
        )

    def _pump(self, site: str) -> None:
        """Carry out an engine's actions, and note when it wants to be called."""
        state = self.sites[site]
        while (action := state.engine.next_action()) is not None:
            match action:
                case Send():
                    self._send(site, action)
                case NeighborSilent(neighbor):
                    self.silences.append((site, neighbor))
                    self._close(self.link(site, neighbor), site)
                case FibChanged():
                    self.fib_changes[site] += 1
                case OwnIncarnationAdvanced(incarnation):
                    state.incarnation = incarnation
                case AdvertisementDropped():
                    self.dropped.append(action)
        engine, when = state.engine, state.engine.next_timer()
        self._at(when, lambda: self._wake(site, engine, when))

    def _wake(self, site: str, engine: Engine, when: float) -> None:
        state = self.sites[site]
        is_current = state.engine is engine and engine.next_timer() == when
        if state.is_running and not state.is_stopped and is_current:
            self._handle_timer(site)

    def _handle_timer(self, site: str) -> None:
        self.engine(site).handle_timer(now=self.now)
        self._pump(site)

    def _send(self, site: str, action: Send) -> None:
        link = self.link(site, action.neighbor)
        session = link.sessions.get(site)
        if session is None:
            return
        if isinstance(action.message, Advertisements):
            self.lsas_sent += len(action.message.lsas)
        self.messages_sent += 1
        data = CODEC.encode(action.message)
        self._carry(link, site, lambda: self._deliver(link, action.neighbor, session, data))

    def _deliver(self, link: Link, site: str, session: int, data: bytes) -> None:
        if link.sessions.get(site) != session or not self.sites[site].is_running:
            return
        reader = FrameReader(max_payload=MAX_MESSAGE)
        reader.receive_data(data)
        frame = reader.next_frame()
        assert frame is not None
        message = CODEC.decode(*frame)
        self.engine(site).receive(link.other(site), message, now=self.now)  # type: ignore[arg-type]
        self._pump(site)
