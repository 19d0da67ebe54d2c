"""Packets that follow next hops through a simulated network while it changes, as relays do."""

import enum
from collections import Counter

import attrs

from lab.routing.fabric import Fabric


class Fate(enum.Enum):
    ARRIVED = enum.auto()
    NO_ROUTE = enum.auto()
    """A site knew no way, or only the way back."""
    HOP_LIMIT = enum.auto()
    LOST = enum.auto()
    """The link or the site that it was to go through was down, and that was not yet known."""


@attrs.define
class Packets:
    """Sends packets and counts what became of them. A hop takes a fixed time, shorter than that of
    routing messages at will: then a loop that lasts for a moment is gone round many times."""

    network: Fabric
    hop_time: float
    sent: int = 0
    fates: Counter[Fate] = attrs.field(factory=Counter)
    looped: int = 0
    """Packets that came to a site twice, whatever became of them."""
    most_hops: int = 0

    @property
    def under_way(self) -> int:
        return self.sent - self.fates.total()

    def send(self, source: str, destination: str) -> None:
        """Send a packet now."""
        self.sent += 1
        # The limit counts the sites that pass on, not the one that sends.
        limit = self.network.engine(source).fib.hop_limit(destination)
        self._pass_on(destination, [source], limit + 1)

    def _pass_on(self, destination: str, path: list[str], hop_limit: int) -> None:
        """Do what the site at the end of a path does with a packet: see
        `van.router.forwarding.relay`."""
        site = path[-1]
        if not self.network.sites[site].is_running:
            return self._end(Fate.LOST, path)
        if site == destination:
            return self._end(Fate.ARRIVED, path)
        next_hop = self.network.engine(site).fib.next_hop(destination)
        if next_hop is None or next_hop == (path[-2] if len(path) > 1 else None):
            return self._end(Fate.NO_ROUTE, path)
        if hop_limit == 0:
            return self._end(Fate.HOP_LIMIT, path)
        if not self.network.link(site, next_hop).is_up():
            return self._end(Fate.LOST, path)
        onward = [*path, next_hop]
        self.network.at(
            self.network.now + self.hop_time,
            lambda: self._pass_on(destination, onward, hop_limit - 1),
        )
        return None

    def _end(self, fate: Fate, path: list[str]) -> None:
        self.fates[fate] += 1
        self.looped += len(set(path)) < len(path)
        self.most_hops = max(self.most_hops, len(path) - 1)
