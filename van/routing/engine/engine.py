"""The link-state engine of one site: takes messages and the time, returns what to do.

The engine owns the state and the order in which things happen; what each step means is in the
modules beside it.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from van.errors import LocalError
from van.routing.actions import (
    Action,
    AlternatesFound,
    CostChanged,
    FibChanged,
    OwnIncarnationAdvanced,
    Send,
)
from van.routing.adjacency.neighbor import Neighbor, NeighborStatus
from van.routing.adjacency.neighborhood import Neighborhood
from van.routing.database.admission import Gate
from van.routing.database.ageing import Ageing
from van.routing.database.keyring import Keyring, Origin
from van.routing.database.lsdb import Change, Lsdb
from van.routing.engine.copies import UNTOLD, Copies, Run
from van.routing.engine.duplicate_names import Contest
from van.routing.engine.origination import Originator
from van.routing.engine.reception import Reception
from van.routing.engine.route_computation import Forwarding
from van.routing.flooding.exchange import DIGEST_PART, digest_entry, keys_of, request_for
from van.routing.flooding.flooding import Flooding
from van.routing.flooding.synchronization import Synchronization
from van.routing.flooding.tree import FloodTree
from van.routing.paths.fib import Fib
from van.routing.schedule.alarms import Alarm, Alarms
from van.routing.schedule.rng import Rng
from van.routing.schedule.timers import Timers
from van.wire.fields import AUTO_COST
from van.wire.link import (
    Advertisements,
    Announcement,
    Digest,
    DigestEntry,
    FloodMode,
    Heartbeat,
    Request,
    RoutingMessage,
    Summary,
)
from van.wire.lsa import (
    MAX_LINK_COST,
    Binding,
    IdentityBody,
    LsaKind,
    Service,
)


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
        run: Run = UNTOLD,
    ) -> None:
        self._site = site
        self._timers = timers
        self._rng = rng
        self._actions: deque[Action] = deque()
        self._alarms = Alarms()
        self._lsdb = Lsdb()
        self._neighborhood = Neighborhood(self._alarms, self._actions, now=now)
        self._originator = Originator(
            site, keyring, incarnation=incarnation, run=run, timers=timers, rng=rng
        )
        self._copies = Copies(site, run)
        self._forwarding = Forwarding(site, self._lsdb, self._originator, timers=timers)
        self._flooding = Flooding(
            self._lsdb, interval=timers.flood_interval, announce_delay=timers.announce_delay
        )
        self._tree = FloodTree(rng)
        self._synchronization = Synchronization(self._lsdb, self._flooding)
        self._contest = Contest(self._lsdb, self._forwarding, self._neighborhood)
        self._ageing = Ageing(self._lsdb, timers=timers, now=now)
        self._reception = Reception(
            site,
            keyring=keyring,
            lsdb=self._lsdb,
            gate=Gate(keyring, self._lsdb, lifetime=timers.lifetime),
            originator=self._originator,
            flooding=self._flooding,
            tree=self._tree,
            forwarding=self._forwarding,
            ageing=self._ageing,
            contest=self._contest,
            copies=self._copies,
        )
        self._refresh(now)
        self._summarize(now)
        self._settle(now)

    def __repr__(self) -> str:
        return (
            f"<Engine {self._site!r} incarnation={self._originator.incarnation} "
            f"neighbors={len(self._neighborhood)} lsas={len(self._lsdb)}>"
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
        return self._neighborhood.statuses()

    def origin(self, site: str) -> Origin | None:
        """Return a site whose certificate has been checked, or None if it is not known, or has
        said goodbye."""
        return None if self._lsdb.has_left(site) else self._lsdb.origin(site)

    def identities(self) -> Mapping[str, IdentityBody]:
        """Return what each known site has told of itself, by name, our own site among them; of the
        authority that it says it holds, nothing has been checked."""
        return self._lsdb.identities()

    def second_hop(self, site: str) -> str | None:
        """Return a neighbour through which a site is reached besides `Fib.next_hop`, or None."""
        return self._forwarding.second_hop(site)

    def held(self) -> tuple[DigestEntry, ...]:
        """Return the versions of all that the database holds, in order."""
        return tuple(digest_entry(self._lsdb, key) for key in self._lsdb.sorted_keys())

    def next_action(self) -> Action | None:
        """Return the next thing to do, in order, or None."""
        return self._actions.popleft() if self._actions else None

    def next_timer(self) -> float:
        """Return when to call `handle_timer`, or infinity."""
        return self._alarms.next_time()

    def check_link(self, neighbor: str, origin: Origin | None = None, *, now: float) -> None:
        """Raise `LocalError` if there can be no link to a peer now, in particular if the
        neighbour's name belongs to another site; `origin` is who the peer proved to be."""
        if neighbor == self._site:
            raise LocalError(f"site {neighbor!r} can't be its own neighbour")
        self._contest.check(neighbor, origin, now=now)
        if self._neighborhood.get(neighbor) is None:
            self._neighborhood.check_room()

    # What the shell tells

    def link_opened(
        self,
        neighbor: str,
        *,
        cost: int,
        hold_time: float,
        now: float,
        heartbeat_interval: float | None = None,
        origin: Origin | None = None,
        incarnation: int = 0,
    ) -> None:
        """Begin an adjacency with a peer that has proved its name and exchanged hellos.

        The cost may be `AUTO_COST`; `origin` is who the peer proved to be. A link that was open to
        the same neighbour counts as lost. The network may not count on a neighbour that is in a
        higher incarnation than its adjacencies that are held until its present ones have come: it
        would be reached by what it said before it started anew. Raises `LocalError` as `check_link`
        does.
        """
        _check_cost(cost)
        # While the one of that name, if there is one, still has its link.
        self.check_link(neighbor, origin, now=now)
        peer = Neighbor(
            name=neighbor,
            cost_setting=cost,
            hold_time=hold_time,
            heartbeat_interval=heartbeat_interval or self._timers.heartbeat_interval,
            since=now,
            origin=origin,
            incarnation=incarnation,
            is_outdated=self._lsdb.is_outdated(neighbor, incarnation),
        )
        peer.contest(self._lsdb.origin(neighbor))
        self.link_closed(neighbor, now=now)
        self._neighborhood.open(peer, now)
        self._flooding.open(neighbor)
        self._tree.open(neighbor)
        self._actions.append(self._synchronization.open(neighbor))
        self._adjacencies_changed(Change.TOPOLOGY, now)
        self._settle(now)

    def link_closed(self, neighbor: str, *, now: float) -> None:
        """End an adjacency; nothing happens if there is none."""
        if self._neighborhood.close(neighbor, now) is None:
            return
        self._flooding.close(neighbor)
        self._synchronization.close(neighbor)
        if (chosen := self._tree.close(neighbor)) is not None:
            self._actions.append(Send(chosen, FloodMode(is_eager=True)))
        if self._reception.forget(neighbor):
            self._summarize(now)  # who else announced what it owed us will not do so again
        self._forwarding.lose(neighbor)
        self._adjacencies_changed(Change.TOPOLOGY, now)
        self._settle(now)

    def set_link_cost(self, neighbor: str, cost: int, *, now: float) -> None:
        """Use and advertise a new cost, or `AUTO_COST`; nothing happens if the link is not up."""
        _check_cost(cost)
        peer = self._neighborhood.get(neighbor)
        if peer is None:
            return
        peer.cost_setting = cost
        self._adjacencies_changed(Change.TOPOLOGY, now)
        self._settle(now)

    def set_link_pace(
        self, neighbor: str, *, hold_time: float, heartbeat_interval: float, now: float
    ) -> None:
        """Expect and send heartbeats at another pace; nothing happens if the link is not up."""
        if self._neighborhood.get(neighbor) is None:
            return
        self._neighborhood.set_pace(
            neighbor, hold_time=hold_time, heartbeat_interval=heartbeat_interval, now=now
        )
        self._settle(now)

    def set_transit(self, *, is_transit: bool, now: float) -> None:
        """Let others send through this site, or not."""
        if self._originator.set_transit(is_transit=is_transit):
            self._forwarding.request(Change.TABLES, now)
            self._settle(now)

    def set_addresses(
        self, services: Iterable[Service], listeners: Iterable[Binding], *, now: float
    ) -> None:
        """Advertise exactly these addresses from now on.

        Raises `LocalError` if they are more than an advertisement can carry.
        """
        if self._originator.set_addresses(services, listeners):
            self._forwarding.request(Change.TABLES, now)
            self._settle(now)

    def refresh_identity(self, *, now: float) -> None:
        """Advertise everything anew and at once, because the keyring has a new chain."""
        self._refresh(now)
        self._originator.renew()
        self._settle(now)

    def drop_expelled(self, *, now: float) -> None:
        """Forget the sites that were put out of the network; they are not admitted again.

        Links to them are for the shell to end. Should another site have had the name in a part of
        the network that is its neighbours', these are asked for that one.
        """
        gone = [name for name, origin in self._lsdb.origins() if origin.is_expelled()]
        for name in gone:
            self._forwarding.request(self._lsdb.remove((name, LsaKind.IDENTITY)), now)
        keys = [key for name in gone for key in keys_of(name, *LsaKind)]
        for start in range(0, len(keys), DIGEST_PART):
            request = request_for(self._lsdb, keys[start : start + DIGEST_PART])
            for neighbor in self._neighborhood.statuses():
                self._actions.append(Send(neighbor.neighbor, request))
        self._settle(now)

    def withdraw(self, *, now: float) -> None:
        """Tell the network that we leave: advertise no adjacencies and no addresses, at once."""
        self._originator.withdraw()
        self._flooding.hurry()
        self._settle(now)

    def leave(self, *, now: float) -> None:
        """Tell the network, after `withdraw`, that we are gone for good, and our name is free."""
        self._originator.leave()
        self._flooding.hurry()
        self._settle(now)

    def heard(self, neighbor: str, *, now: float) -> None:
        """Take note that anything at all came from a neighbour; `receive` does so by itself.

        A shell that calls this for every read keeps a link up while one large message passes.
        """
        if (peer := self._neighborhood.get(neighbor)) is not None:
            peer.heard(now)

    def receive(
        self, neighbor: str, message: RoutingMessage, *, now: float, age: float = 0.0
    ) -> None:
        """Take a message from a neighbour that came so many seconds ago; one whose link is closed
        already is ignored.

        Raises `RemoteProtocolError` if the neighbour must be disconnected.
        """
        peer = self._neighborhood.get(neighbor)
        if peer is None:
            return
        peer.heard(now - age)
        match message:
            case Heartbeat():
                if not self._receive_heartbeat(peer, message, now):
                    return  # as nearly always
            case Summary():
                self._actions.extend(self._synchronization.receive_summary(peer, message))
            case Digest():
                self._actions.extend(self._synchronization.receive_digest(peer, message))
            case Request():
                self._synchronization.receive_request(peer, message)
            case Advertisements():
                self._receive_advertisements(peer, message, now)
            case Announcement():
                self._actions.extend(self._reception.receive_announcement(peer, message, now=now))
            case FloodMode():
                self._flooding.set_eager(neighbor, is_eager=message.is_eager)
        self._settle(now)

    def handle_timer(self, *, now: float) -> None:
        """Do what is due by now."""
        lateness = now - self._alarms.next_time()
        if lateness >= self._timers.heartbeat_interval / 2:
            self._neighborhood.forgive(lateness, now)
        while (alarm := self._alarms.pop_due(now)) is not None:
            kind, neighbor = alarm
            match kind:
                case Alarm.HEARTBEAT:
                    self._neighborhood.send_heartbeat(neighbor, now)
                case Alarm.SILENCE:
                    self._neighborhood.check_silence(neighbor, now)
                case Alarm.REUSE:
                    self._neighborhood.release(neighbor, now)
                    self._adjacencies_changed(Change.TOPOLOGY, now)
                case Alarm.REFRESH:
                    self._refresh(now)
                case Alarm.SUMMARY:
                    self._summarize(now)
                case Alarm.SWEEP:
                    change = self._ageing.sweep(self.fib.routes, now=now)
                    self._forwarding.request(change, now)
                    self._neighborhood.forget(now)
                    self._copies.forget_but(dict(self._lsdb.origins()))
                case Alarm.PACED:
                    pass  # `_settle` does whatever is due.
        self._settle(now)

    # Neighbours

    def _receive_advertisements(self, peer: Neighbor, message: Advertisements, now: float) -> None:
        for lsa in message.lsas:
            self._actions.extend(self._reception.receive(peer, lsa, now=now))
            if (neighbor := self._neighborhood.get(lsa.origin)) is None:
                continue
            if lsa.kind is LsaKind.IDENTITY or neighbor.is_outdated:
                # Its name may be another's now, or what it says since it started anew has come.
                neighbor.is_outdated = self._lsdb.is_outdated(neighbor.name, neighbor.incarnation)
                self._adjacencies_changed(Change.TOPOLOGY, now)

    def _receive_heartbeat(self, peer: Neighbor, message: Heartbeat, now: float) -> bool:
        """Take note of what a heartbeat says, and tell whether that changes anything."""
        has_new_cost = peer.receive_heartbeat(message, now=now)
        if has_new_cost:
            self._actions.append(CostChanged(peer.name, peer.cost))
            self._adjacencies_changed(Change.TOPOLOGY, now)
        is_told = peer.round_trip.is_news(now) and self._neighborhood.advertise_round_trips(now)
        if is_told:
            self._adjacencies_changed(Change.TABLES, now)
        return has_new_cost or is_told

    def _summarize(self, now: float) -> None:
        """Tell one neighbour what we hold, each in turn."""
        self._actions.extend(self._synchronization.next_summary())
        self._alarms.set((Alarm.SUMMARY, ""), now + self._vary(self._timers.summary_interval))

    # Our own advertisements

    def _adjacencies_changed(self, change: Change, now: float) -> None:
        """Advertise our adjacencies if they are not what they were."""
        if self._originator.set_adjacencies(self._neighborhood.advertised()):
            self._forwarding.request(change, now)

    def _refresh(self, now: float) -> None:
        self._originator.request()
        self._alarms.set((Alarm.REFRESH, ""), now + self._vary(self._timers.refresh_interval))

    def _vary(self, interval: float) -> float:
        return interval * self._rng.uniform(0.75, 1.0)

    # The end of every call

    def _settle(self, now: float) -> None:
        """Do all that is requested and allowed by now, and set alarms for the rest."""
        if self._originator.advance(now):
            self._actions.append(OwnIncarnationAdvanced(self._originator.incarnation))
        for entry in self._originator.originate(now):
            self._lsdb.install(entry)
            self._flooding.flood(entry.key, now)
        self._actions.extend(self._flooding.flush(now))
        previous = self.fib
        if self._forwarding.update(now):
            self._actions.append(FibChanged(self.fib, previous))
        if self._forwarding.take_news_of_alternates():
            self._actions.append(AlternatesFound())
        paced = min(self._originator.due_at(), self._flooding.due_at(), self._forwarding.due_at())
        self._alarms.set((Alarm.PACED, ""), paced)
        self._alarms.set((Alarm.SWEEP, ""), self._ageing.next_at)


def _check_cost(cost: int) -> None:
    if cost != AUTO_COST and not 1 <= cost <= MAX_LINK_COST:
        raise LocalError(f"link cost {cost} is not valid: use 1 to {MAX_LINK_COST}")
