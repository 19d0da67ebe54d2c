"""Probes that find out which way a flow takes: what a router makes of each. No I/O.

A probe gathers the sites that it passes; where it ends, its path goes back as a reply. No router
keeps anything of another's probes: the path in the message says where the reply goes. What is not
plausible is dropped and counted, never answered, so that nobody can be made to shout at others.
"""

import enum
from collections import Counter
from collections.abc import Callable
from typing import Final

import attrs

from van.wire.link import MAX_PROBE_PATH, Probe, ProbeOutcome, ProbeReply

RATE: Final = 200.0
"""Probes and replies per second that are taken from one neighbour: some dozens of people who trace
at a time, and a fraction of a percent of one core."""
BURST: Final = 400.0
"""How many may come at once: a trace sends one for each hop at the same moment."""


class ProbeDrop(enum.StrEnum):
    """Why a probe or a reply was not taken."""

    IMPLAUSIBLE = "implausible"
    """Its path can't be how it came here."""
    TOO_LONG = "too-long"
    TOO_MANY = "too-many"
    UNKNOWN = "unknown"
    """It answers no probe of ours, or one that has been given up."""


@attrs.frozen
class Forward:
    """A message to send to a neighbour."""

    neighbor: str
    message: Probe | ProbeReply


@attrs.define
class TokenBucket:
    """Lets so much pass per second, and a burst after a pause."""

    rate: float
    burst: float
    _filled_at: float
    _level: float = attrs.field()

    @_level.default
    def _level_default(self) -> float:
        return self.burst

    def take(self, now: float) -> bool:
        """Tell whether one more may pass now; if so, it counts."""
        self._level = min(self.burst, self._level + (now - self._filled_at) * self.rate)
        self._filled_at = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class Probing:
    """Decides what becomes of the probes and replies that neighbours send."""

    def __init__(self, site: str, next_hop: Callable[[str], str | None]) -> None:
        self.dropped: Counter[str] = Counter()
        """What was not taken, by cause."""
        self._site = site
        self._next_hop = next_hop
        self._buckets: dict[str, TokenBucket] = {}

    def link_closed(self, neighbor: str) -> None:
        """Forget what a neighbour may still send."""
        self._buckets.pop(neighbor, None)

    def receive_probe(self, neighbor: str, probe: Probe, *, now: float) -> Forward | None:
        """Send a probe on or answer it; None when it is dropped."""
        path = (*probe.path, self._site)
        if not self._may_pass(neighbor, now):
            return None
        if probe.path[-1] != neighbor or not _is_simple(path):
            self.drop(ProbeDrop.IMPLAUSIBLE)
            return None
        if len(path) > MAX_PROBE_PATH:
            self.drop(ProbeDrop.TOO_LONG)
            return None
        next_hop = self._next_hop(probe.destination)
        if probe.destination == self._site:
            outcome = ProbeOutcome.ARRIVED
        elif probe.hop_limit == 0:
            outcome = ProbeOutcome.EXPIRED
        elif next_hop is None or next_hop in path:
            outcome = ProbeOutcome.NO_PATH
        else:
            onward = Probe(probe.id, path, probe.destination, probe.hop_limit - 1)
            return Forward(next_hop, onward)
        return Forward(neighbor, ProbeReply(probe.id, path, outcome))

    def receive_reply(
        self, neighbor: str, reply: ProbeReply, *, now: float
    ) -> Forward | ProbeReply | None:
        """Send a reply back on its way, or return it when it is for this site.

        None when it is dropped. It must have come from the site behind ours on its path.
        """
        path = reply.path
        if not self._may_pass(neighbor, now):
            return None
        place = path.index(self._site) if self._site in path else len(path)
        if path[place + 1 : place + 2] != (neighbor,) or not _is_simple(path):
            self.drop(ProbeDrop.IMPLAUSIBLE)
            return None
        return reply if place == 0 else Forward(path[place - 1], reply)

    def drop(self, cause: ProbeDrop) -> None:
        """Count what is not taken."""
        self.dropped[cause.value] += 1

    def _may_pass(self, neighbor: str, now: float) -> bool:
        bucket = self._buckets.get(neighbor)
        if bucket is None:
            bucket = self._buckets[neighbor] = TokenBucket(RATE, BURST, filled_at=now)
        if bucket.take(now):
            return True
        self.drop(ProbeDrop.TOO_MANY)
        return False


def _is_simple(path: tuple[str, ...]) -> bool:
    """Tell whether a path passes no site twice."""
    return len(set(path)) == len(path)
