"""The link-state engine of one site: takes messages and the time, returns what to do.

The engine owns the state and the order in which things happen; what each step means is in the
modules beside it.
"""

import enum
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from van.errors import LocalError
from van.routing.actions import (
    Action,
    FibChanged,
    NeighborSilent,
    OwnIncarnationAdvanced,
    Send,
)
from van.routing.adjacency import Neighbor, NeighborStatus
from van.routing.admission import Gate
from van.routing.ageing import Ageing
from van.routing.exchange import digest, digest_entry, newer_than_digest, requested
from van.routing.fib import Fib
from van.routing.flooding import Flooding
from van.routing.forwarding import Forwarding
from van.routing.keyring import Keyring, Origin
from van.routing.lsdb import Change, Lsdb
from van.routing.origination import Originator
from van.routing.reception import Reception
from van.routing.rng import Rng
from van.routing.timers import AlarmQueue, Timers
from van.wire.link import (
    Advertisements,
    Digest,
    DigestEntry,
    Heartbeat,
    Request,
    RoutingMessage,
)
from van.wire.lsa import (
    MAX_BODY,
    MAX_LINK_COST,
    AddressesBody,
    LsaKind,
    Service,
    encode_body,
)

MAX_NEIGHBORS = 4096
"""Links of one site: their names and costs still fit into one advertisement."""


class Alarm(enum.Enum):
    """What wakes the engine."""

    HEARTBEAT = enum.auto()
    SILENCE = enum.auto()
    REFRESH = enum.auto()
    SWEEP = enum.auto()
    PACED = enum.auto()
    """Something that was requested before its pace allowed it."""


class Engine:
    """Routes for one site. After every call, carry out `next_action()` until it returns None."""

    def __init__(
        self,
        site: str,
        keyring: Keyring,
        *,
        incarnation: int,
        timers: Timers,
        rng: Rng,
        now: float,
    ) -> None:
        self._site = site
        self._timers = timers
        self._rng = rng
        self._neighbors: dict[str, Neighbor] = {}
        self._actions: deque[Action] = deque()
        self._alarms: AlarmQueue[tuple[Alarm, str]] = AlarmQueue()
        self._lsdb = Lsdb()
        self._originator = Originator(
            site, keyring, incarnation=incarnation, timers=timers, rng=rng
        )
        self._forwarding = Forwarding(site, self._lsdb, self._originator, timers=timers)
        self._flooding = Flooding(self._lsdb, interval=timers.flood_interval)
        self._ageing = Ageing(self._lsdb, timers=timers, now=now)
        self._reception = Reception(
            site,
            lsdb=self._lsdb,
            gate=Gate(keyring, self._lsdb, lifetime=timers.lifetime),
            originator=self._originator,
            flooding=self._flooding,
            forwarding=self._forwarding,
            ageing=self._ageing,
        )
        self._refresh(now)
        self._settle(now)

    def __repr__(self) -> str:
        return (
            f"<Engine {self._site!r} incarnation={self._originator.incarnation} "
            f"neighbors={len(self._neighbors)} lsas={len(self._lsdb)}>"
        )

    # What the shell may look at

    @property
    def fib(self) -> Fib:
        """The present forwarding table."""
        return self._forwarding.fib

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many advertisements were not taken, by cause; a live, read-only view."""
        return MappingProxyType(self._reception.dropped)

    def neighbors(self) -> tuple[NeighborStatus, ...]:
        """Return the neighbours whose links are up, by name."""
        return tuple(self._neighbors[name].status() for name in sorted(self._neighbors))

    def origin(self, site: str) -> Origin | None:
        """Return a site whose certificate has been checked, or None if it is not known."""
        return self._lsdb.origin(site)

    def held(self) -> tuple[DigestEntry, ...]:
        """Return the versions of all that the database holds, in order."""
        return tuple(digest_entry(self._lsdb, key) for key in self._lsdb.sorted_keys())

    def next_action(self) -> Action | None:
        """Return the next thing to do, in order, or None."""
        return self._actions.popleft() if self._actions else None

    def next_timer(self) -> float:
        """Return when to call `handle_timer`, or infinity."""
        return self._alarms.next_time()

    # What the shell tells

    def link_opened(self, neighbor: str, *, cost: int, hold_time: float, now: float) -> None:
        """Begin an adjacency with a peer that has proved its name and exchanged hellos.

        A link that was open to the same neighbour counts as closed. Raises `LocalError` if there
        can be no such link.
        """
        _check_cost(cost)
        if neighbor == self._site:
            raise LocalError(f"site {neighbor!r} can't be its own neighbour")
        if len(self._neighbors) >= MAX_NEIGHBORS:
            raise LocalError(f"site has {MAX_NEIGHBORS} links already, which is the most it can")
        self._neighbors[neighbor] = peer = Neighbor(
            name=neighbor,
            cost=cost,
            hold_time=hold_time,
            since=now,
        )
        self._flooding.open(neighbor)
        self._alarms.set((Alarm.SILENCE, neighbor), peer.silent_at())
        self._send_heartbeat(peer, now)
        for part in digest(self._lsdb):
            self._actions.append(Send(neighbor, part))
        self._adjacencies_changed(Change.TOPOLOGY)
        self._settle(now)

    def link_closed(self, neighbor: str, *, now: float) -> None:
        """End an adjacency; nothing happens if there is none."""
        if self._neighbors.pop(neighbor, None) is None:
            return
        self._flooding.close(neighbor)
        self._alarms.clear((Alarm.HEARTBEAT, neighbor))
        self._alarms.clear((Alarm.SILENCE, neighbor))
        self._adjacencies_changed(Change.TOPOLOGY)
        self._settle(now)

    def set_link_cost(self, neighbor: str, cost: int, *, now: float) -> None:
        """Use and advertise a new cost; nothing happens if the link is not up."""
        _check_cost(cost)
        peer = self._neighbors.get(neighbor)
        if peer is None or peer.cost == cost:
            return
        peer.cost = cost
        self._adjacencies_changed(Change.TOPOLOGY)
        self._settle(now)

    def set_addresses(
        self, services: Iterable[Service], listeners: Iterable[Service], *, now: float
    ) -> None:
        """Advertise exactly these addresses from now on.

        Raises `LocalError` if they are more than an advertisement can carry.
        """
        addresses = AddressesBody(_in_order(services), _in_order(listeners))
        if addresses == self._originator.addresses:
            return
        if (size := len(encode_body(addresses))) > MAX_BODY:
            raise LocalError(
                f"addresses of this site need {size} bytes, but an advertisement holds {MAX_BODY}"
            )
        self._originator.addresses = addresses
        self._originator.request(LsaKind.ADDRESSES)
        self._forwarding.request(Change.TABLES)
        self._settle(now)

    def refresh_identity(self, *, now: float) -> None:
        """Advertise everything anew and at once, because the keyring has a new chain."""
        self._refresh(now)
        self._originator.renew()
        self._settle(now)

    def withdraw(self, *, now: float) -> None:
        """Tell the network that we leave: advertise no adjacencies and no addresses, at once."""
        self._originator.withdraw()
        self._flooding.hurry()
        self._settle(now)

    def heard(self, neighbor: str, *, now: float) -> None:
        """Take note that anything at all came from a neighbour; `receive` does so by itself.

        A shell that calls this for every read keeps a link up while one large message passes.
        """
        if (peer := self._neighbors.get(neighbor)) is not None:
            peer.last_heard = now

    def receive(self, neighbor: str, message: RoutingMessage, *, now: float) -> None:
        """Take a message from a neighbour; one whose link is closed already is ignored.

        Raises `RemoteProtocolError` if the neighbour must be disconnected.
        """
        peer = self._neighbors.get(neighbor)
        if peer is None:
            return
        peer.last_heard = now
        match message:
            case Heartbeat():
                peer.receive_heartbeat(message, now=now)
                if peer.round_trip.advertise(now):
                    self._adjacencies_changed(Change.TABLES)
            case Digest():
                newer, peer.digest_cursor = newer_than_digest(
                    self._lsdb, message, peer.digest_cursor
                )
                self._flooding.receive_digest(neighbor)
                for key in newer:
                    self._flooding.add(neighbor, key)
            case Request():
                for key in requested(self._lsdb, message):
                    self._flooding.add(neighbor, key)
            case Advertisements():
                for lsa in message.lsas:
                    self._actions.extend(self._reception.receive(peer, lsa, now=now))
        self._settle(now)

    def handle_timer(self, *, now: float) -> None:
        """Do what is due by now."""
        self._forgive_silence(now)
        while (alarm := self._alarms.pop_due(now)) is not None:
            kind, neighbor = alarm
            match kind:
                case Alarm.HEARTBEAT:
                    self._send_heartbeat(self._neighbors[neighbor], now)
                case Alarm.SILENCE:
                    self._check_silence(self._neighbors[neighbor], now)
                case Alarm.REFRESH:
                    self._refresh(now)
                case Alarm.SWEEP:
                    change = self._ageing.sweep(self.fib.routes, now=now)
                    self._forwarding.request(change)
                case Alarm.PACED:
                    pass  # `_settle` does whatever is due.
        self._settle(now)

    # Liveness

    def _send_heartbeat(self, peer: Neighbor, now: float) -> None:
        self._actions.append(Send(peer.name, peer.heartbeat(now=now)))
        self._alarms.set((Alarm.HEARTBEAT, peer.name), now + self._timers.heartbeat_interval)

    def _check_silence(self, peer: Neighbor, now: float) -> None:
        if now < peer.silent_at():
            self._alarms.set((Alarm.SILENCE, peer.name), peer.silent_at())
        else:
            self._actions.append(NeighborSilent(peer.name, now - peer.last_heard))

    def _forgive_silence(self, now: float) -> None:
        """Give neighbours one more interval if we are late ourselves.

        After a stop of this process, or on a busy machine, what they sent may wait unread.
        """
        lateness = now - self._alarms.next_time()
        if lateness < self._timers.heartbeat_interval / 2:
            return
        for peer in self._neighbors.values():
            if lateness > peer.hold_time / 2:
                peer.forgive(until=now + self._timers.heartbeat_interval)

    # Our own advertisements

    def _adjacencies_changed(self, change: Change) -> None:
        self._originator.adjacencies = tuple(
            self._neighbors[name].advertised() for name in sorted(self._neighbors)
        )
        self._originator.request(LsaKind.ADJACENCIES)
        self._forwarding.request(change)

    def _refresh(self, now: float) -> None:
        self._originator.request()
        interval = self._timers.refresh_interval * self._rng.uniform(0.75, 1.0)
        self._alarms.set((Alarm.REFRESH, ""), now + interval)

    # The end of every call

    def _settle(self, now: float) -> None:
        """Do all that is requested and allowed by now, and set alarms for the rest."""
        if self._originator.advance(now):
            self._actions.append(OwnIncarnationAdvanced(self._originator.incarnation))
        for entry in self._originator.originate(now):
            self._lsdb.install(entry)
            self._flooding.flood(entry.key)
        self._actions.extend(self._flooding.flush(now))
        previous = self.fib
        if self._forwarding.update(now):
            self._actions.append(FibChanged(self.fib, previous))
        paced = min(self._originator.due_at(), self._flooding.due_at(), self._forwarding.due_at())
        self._alarms.set((Alarm.PACED, ""), paced)
        self._alarms.set((Alarm.SWEEP, ""), self._ageing.next_at)


def _check_cost(cost: int) -> None:
    if not 1 <= cost <= MAX_LINK_COST:
        raise LocalError(f"link cost {cost} is not valid: use 1 to {MAX_LINK_COST}")


def _in_order(services: Iterable[Service]) -> tuple[Service, ...]:
    return tuple(sorted(set(services), key=lambda each: (each.protocol, each.address)))
