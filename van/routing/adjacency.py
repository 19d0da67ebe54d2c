"""An adjacency: what is known of one neighbour while its link is up."""

import math

import attrs

from van.routing.lsdb import Key
from van.wire.link import Heartbeat
from van.wire.lsa import Adjacency

SMOOTHING = 1 / 8
"""Weight of a new sample in the round trip (RFC 6298, section 2)."""
SETTLING_TIME = 1.0
"""A round trip is advertised this long after the link came up, when some samples are in."""
READVERTISE_INTERVAL = 30.0
"""Least time between two advertised round trips of a link: each is flooded to every site."""
READVERTISE_RATIO = 0.25
READVERTISE_DIFFERENCE = 0.001
"""A round trip is advertised anew only if it differs by both: by share, and by seconds."""
REQUEST_INTERVAL = 30.0
"""Least time between two requests to a neighbour for one origin's advertisements: what did not
help before will hardly help sooner."""
MAX_REQUESTED = 4096
"""Origins whose requests to one neighbour are remembered; no more are made until some are old."""


@attrs.frozen
class NeighborStatus:
    """A neighbour at one moment."""

    neighbor: str
    cost: int
    round_trip: float | None
    """Smoothed, in seconds; None while unknown."""
    last_heard: float
    since: float


@attrs.define
class RoundTrip:
    """The smoothed round trip of a link, and when it is worth telling others."""

    _may_advertise_at: float
    estimate: float | None = None
    advertised: float | None = None

    def add_sample(self, sample: float) -> None:
        """Take one measurement, in seconds."""
        if self.estimate is None:
            self.estimate = sample
        else:
            self.estimate += SMOOTHING * (sample - self.estimate)

    def advertise(self, now: float) -> bool:
        """Take the estimate over into what is advertised, if it is time, and say so."""
        if (
            self.estimate is None
            or now < self._may_advertise_at
            or not self._is_news(self.estimate)
        ):
            return False
        self.advertised = self.estimate
        self._may_advertise_at = now + READVERTISE_INTERVAL
        return True

    def _is_news(self, estimate: float) -> bool:
        if self.advertised is None:
            return True
        difference = abs(estimate - self.advertised)
        return difference > max(READVERTISE_RATIO * self.advertised, READVERTISE_DIFFERENCE)


@attrs.define
class Neighbor:
    """The state of one adjacency."""

    name: str
    cost: int
    hold_time: float
    since: float
    last_heard: float = attrs.field()
    round_trip: RoundTrip = attrs.field()
    digest_cursor: Key | None = None
    """Up to where its digest has been compared."""
    _grace_until: float = -math.inf
    _their_clock: float = 0.0
    _their_clock_heard_at: float = 0.0
    _requested: dict[str, float] = attrs.field(factory=dict)

    @last_heard.default
    def _last_heard_default(self) -> float:
        return self.since

    @round_trip.default
    def _round_trip_default(self) -> RoundTrip:
        return RoundTrip(may_advertise_at=self.since + SETTLING_TIME)

    def silent_at(self) -> float:
        """Return when the neighbour counts as silent unless it is heard before."""
        return max(self.last_heard + self.hold_time, self._grace_until)

    def forgive(self, *, until: float) -> None:
        """Don't count the neighbour as silent before a time, because it was us who slept."""
        self._grace_until = until

    def receive_heartbeat(self, message: Heartbeat, *, now: float) -> None:
        """Learn the peer's clock, and the round trip from the echo of ours."""
        self._their_clock = message.sent_at
        self._their_clock_heard_at = now
        sample = now - message.echo - message.echo_delay
        # An echo that is not possible says nothing; a wrong one harms only this link.
        if message.echo and message.echo >= self.since and sample >= 0.0:
            self.round_trip.add_sample(sample)

    def heartbeat(self, *, now: float) -> Heartbeat:
        """Return the heartbeat to send."""
        delay = now - self._their_clock_heard_at if self._their_clock else 0.0
        return Heartbeat(sent_at=now, echo=self._their_clock, echo_delay=delay)

    def may_request(self, origin: str, *, now: float) -> bool:
        """Tell whether to ask for an origin's advertisements now; if so, that is remembered."""
        asked_at = self._requested.get(origin, -math.inf)
        if now < asked_at + REQUEST_INTERVAL:
            return False
        if len(self._requested) >= MAX_REQUESTED:
            self._requested = {
                name: when
                for name, when in self._requested.items()
                if now < when + REQUEST_INTERVAL
            }
            if len(self._requested) >= MAX_REQUESTED:
                return False
        self._requested[origin] = now
        return True

    def advertised(self) -> Adjacency:
        """Return what our advertisement says of this neighbour."""
        round_trip = self.round_trip.advertised
        micros = 0 if round_trip is None else max(1, min(round(round_trip * 1e6), 2**32 - 1))
        return Adjacency(neighbor=self.name, cost=self.cost, round_trip=micros)

    def status(self) -> NeighborStatus:
        """Return a snapshot."""
        return NeighborStatus(
            neighbor=self.name,
            cost=self.cost,
            round_trip=self.round_trip.estimate,
            last_heard=self.last_heard,
            since=self.since,
        )
