"""All adjacencies of a site: which neighbours live, and which of them the network may count on."""

import math
from collections import deque
from collections.abc import Iterator

from van.errors import LocalError
from van.routing.actions import Action, LinkDamped, LinkReleased, NeighborSilent, Send
from van.routing.adjacency.damping import Penalty
from van.routing.adjacency.neighbor import Neighbor, NeighborStatus
from van.routing.schedule.alarms import Alarm, Alarms
from van.wire.lsa import Adjacency

MAX_NEIGHBORS = 4096
"""Links of one site: their names and costs still fit into one advertisement."""

TELL_INTERVAL = 2.0
"""Least time between two advertisements for the sake of round trips alone, as each goes to every
site: when links come up one after the other, one advertisement tells of several."""
RETELL_INTERVAL = 30.0
"""The same when only round trips have changed that were advertised before."""
TICK_TOLERANCE = 1e-6
"""In intervals: a heartbeat that rounding lets go out too early is not followed by another."""


class Neighborhood:
    """Holds the neighbours whose links are up; adds to the engine's alarms and actions."""

    def __init__(self, alarms: Alarms, actions: deque[Action], *, now: float) -> None:
        self._began = now
        self._told_at = -math.inf
        self._alarms = alarms
        self._actions = actions
        self._neighbors: dict[str, Neighbor] = {}
        self._penalties: dict[str, Penalty] = {}

    def __len__(self) -> int:
        return len(self._neighbors)

    def __iter__(self) -> Iterator[Neighbor]:
        return iter(self._neighbors.values())

    def get(self, name: str) -> Neighbor | None:
        """Return a neighbour whose link is up, or None."""
        return self._neighbors.get(name)

    def statuses(self) -> tuple[NeighborStatus, ...]:
        """Return all neighbours at this moment, by name."""
        return tuple(self._neighbors[name].status() for name in sorted(self._neighbors))

    def advertised(self) -> tuple[Adjacency, ...]:
        """Return the adjacencies that the network may count on, by name."""
        return tuple(
            neighbor.advertised()
            for _, neighbor in sorted(self._neighbors.items())
            if neighbor.is_usable
        )

    def advertise_round_trips(self, now: float) -> bool:
        """Take what is measured over into what is advertised, if it is time, and say so."""
        if now < self._told_at + TELL_INTERVAL:
            return False
        if now < self._told_at + RETELL_INTERVAL and all(
            neighbor.round_trip.advertised is not None or not neighbor.round_trip.is_news(now)
            for neighbor in self._neighbors.values()
        ):
            return False
        self._told_at = now
        for neighbor in self._neighbors.values():
            neighbor.round_trip.advertise(now)
        return True

    def check_room(self) -> None:
        """Raise `LocalError` if there can't be one more."""
        if len(self._neighbors) >= MAX_NEIGHBORS:
            raise LocalError(f"site has {MAX_NEIGHBORS} links already, which is the most it can")

    def open(self, neighbor: Neighbor, now: float) -> None:
        """Begin to send heartbeats to a neighbour, and to expect them."""
        penalty = self._penalties.get(neighbor.name)
        if penalty is not None and not penalty.release(now) and penalty.is_suppressed:
            neighbor.damped_until = now + penalty.reuse_in(now)
            self._alarms.set((Alarm.REUSE, neighbor.name), neighbor.damped_until)
        self._neighbors[neighbor.name] = neighbor
        self.send_heartbeat(neighbor.name, now)

    def close(self, name: str, now: float) -> Neighbor | None:
        """Forget a neighbour, but not how often its link was lost; return it."""
        neighbor = self._neighbors.pop(name, None)
        if neighbor is None:
            return None
        for alarm in (Alarm.HEARTBEAT, Alarm.SILENCE, Alarm.REUSE):
            self._alarms.clear((alarm, name))
        penalty = self._penalties.setdefault(name, Penalty())
        if penalty.lost(now):
            self._actions.append(LinkDamped(name, penalty.reuse_in(now)))
        return neighbor

    def release(self, name: str, now: float) -> None:
        """Let a link that flapped be used again."""
        neighbor = self._neighbors[name]
        if self._penalties[name].release(now):
            neighbor.damped_until = None
            self._actions.append(LinkReleased(name))

    def forget(self, now: float) -> None:
        """Forget losses that do not matter any more."""
        for name, penalty in list(self._penalties.items()):
            if name not in self._neighbors:
                penalty.release(now)  # nobody waits for that any more
            if penalty.is_forgotten(now):
                del self._penalties[name]

    def send_heartbeat(self, name: str, now: float) -> None:
        """Send a heartbeat, and see to the next."""
        neighbor = self._neighbors[name]
        self._actions.append(Send(name, neighbor.heartbeat(now=now)))
        next_tick = self._next_tick(neighbor, now)
        self._alarms.set((Alarm.HEARTBEAT, name), next_tick)
        # We need not be woken for one that was heard just now: at the next tick we look again.
        if neighbor.silent_at() <= next_tick and not neighbor.is_silent:
            self._alarms.set((Alarm.SILENCE, name), neighbor.silent_at())
        else:
            self._alarms.clear((Alarm.SILENCE, name))

    def _next_tick(self, neighbor: Neighbor, now: float) -> float:
        """Return when the next heartbeat is due: at the same moment for neighbours of one pace, so
        that we are woken once for all of them."""
        interval = neighbor.heartbeat_interval
        ticks = math.floor((now - self._began) / interval + TICK_TOLERANCE) + 1
        return self._began + ticks * interval

    def check_silence(self, name: str, now: float) -> None:
        """Report a neighbour from which nothing came for too long."""
        neighbor = self._neighbors[name]
        if now < neighbor.silent_at():
            self._alarms.set((Alarm.SILENCE, name), neighbor.silent_at())
        else:
            neighbor.is_silent = True
            self._actions.append(NeighborSilent(name, now - neighbor.last_heard))

    def forgive(self, lateness: float, now: float) -> None:
        """Give neighbours one more interval if we are late ourselves.

        After a stop of this process, or on a busy machine, what they sent may wait unread.
        """
        for neighbor in self._neighbors.values():
            if lateness > neighbor.hold_time / 2:
                neighbor.forgive(until=now + neighbor.heartbeat_interval)

    def set_pace(
        self, name: str, *, hold_time: float, heartbeat_interval: float, now: float
    ) -> None:
        """Expect and send heartbeats at another pace, beginning now."""
        neighbor = self._neighbors[name]
        neighbor.pace(hold_time, heartbeat_interval)
        self.send_heartbeat(name, now)
