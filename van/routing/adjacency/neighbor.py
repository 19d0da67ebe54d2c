"""An adjacency: what is known of one neighbour while its link is up."""

import math

import attrs

from van.routing.adjacency.cost import AutoCost, LeastRecent
from van.routing.database.keyring import Origin
from van.routing.database.lsdb import Key
from van.wire.fields import AUTO_COST
from van.wire.link import Heartbeat
from van.wire.lsa import Adjacency

ASK_INTERVAL = 3.0
"""Seconds between two measurements of the round trip, each of which wakes both sides. Whoever
answers one measures at the same time if half of that has passed."""
SMOOTHING = 1 / 8
"""Weight of a new sample in the round trip (RFC 6298, section 2)."""
SETTLING_TIME = 1.0
"""A round trip is advertised this long after the link came up, when some samples are in."""
READVERTISE_RATIO = 0.25
READVERTISE_DIFFERENCE = 0.001
"""A round trip is advertised anew only if it differs by both: by share, and by seconds."""
REQUEST_INTERVAL = 30.0
"""Least time between two requests to a neighbour for one origin's advertisements: what did not
help before will hardly help sooner."""
MAX_REQUESTED = 4096
"""Origins whose requests to one neighbour are remembered; no more are made until some are old."""
USUAL_GAP = 1.5
"""In heartbeat intervals: what two messages may lie apart on a machine that has time."""
GAP_HALF_LIFE = 10.0
"""Seconds in which a neighbour that was late once is trusted half of the way again."""
MAX_PATIENCE = 2.0
"""In hold times: what is added at most for a neighbour that is often late."""


@attrs.frozen
class NeighborStatus:
    """A neighbour at one moment."""

    neighbor: str
    cost: int
    is_auto: bool
    """Whether the cost follows the round trip."""
    round_trip: float | None
    """Smoothed, in seconds; None while unknown."""
    last_heard: float
    since: float
    hold_time: float
    """Seconds of silence that are allowed at present."""
    damped_until: float | None
    """When the link is used again that is up, but not used, because it flapped; else None."""


@attrs.define
class RoundTrip:
    """The round trip of a link: smoothed for people, and the least of late for other sites, for
    that does not move whenever a machine is busy."""

    _settled_at: float
    estimate: float | None = None
    advertised: float | None = None
    least: float = 0.0
    """The least sample of late; 0 before there is one."""
    _recent: LeastRecent = attrs.field(factory=LeastRecent)

    def add_sample(self, sample: float, now: float) -> None:
        """Take one measurement, in seconds."""
        self.least = self._recent.add(sample, now)
        if self.estimate is None:
            self.estimate = sample
        else:
            self.estimate += SMOOTHING * (sample - self.estimate)

    def is_news(self, now: float) -> bool:
        """Tell whether others should hear of it, as it is not what they heard last."""
        if self.estimate is None or now < self._settled_at:
            return False
        if self.advertised is None:
            return True
        difference = abs(self.least - self.advertised)
        return difference > max(READVERTISE_RATIO * self.advertised, READVERTISE_DIFFERENCE)

    def advertise(self, now: float) -> None:
        """Advertise what is measured from now on, if it is news."""
        if self.is_news(now):
            self.advertised = self.least


@attrs.define
class Patience:
    """How much later than usual a neighbour has been of late: a busy machine is no dead one."""

    usual: float
    """Seconds between two messages that are no sign of anything."""
    most: float
    """Seconds that are added at most. One long sleep weighs no more, and so is soon forgotten."""
    _excess: float = 0.0
    _at: float = 0.0

    def heard(self, gap: float, now: float) -> None:
        """Take note of the seconds between two messages."""
        excess = min(gap - self.usual, self.most)
        if excess > self.at(now):
            self._excess, self._at = excess, now

    def at(self, now: float) -> float:
        """Return the seconds to wait beyond the hold time."""
        excess = self._excess * math.pow(0.5, (now - self._at) / GAP_HALF_LIFE)
        return min(excess, self.most)


@attrs.define
class Neighbor:
    """The state of one adjacency."""

    name: str
    cost_setting: int
    """The cost of the link, or `AUTO_COST`."""
    hold_time: float
    heartbeat_interval: float
    """Seconds between heartbeats, in both directions."""
    since: float
    damped_until: float | None = None
    """Until when the link is not used because it flapped so much; None if it is not damped."""
    origin: Origin | None = None
    """Who the neighbour proved to be when the link was opened."""
    is_contested: bool = False
    """Whether the network knows the neighbour's name by another key than it proved."""
    incarnation: int = 0
    """Its latest start, as it told when the link was opened."""
    is_outdated: bool = False
    """Whether the network knows of it from before that start alone."""
    last_heard: float = attrs.field()
    patience: Patience = attrs.field()
    auto_cost: AutoCost = attrs.field(factory=AutoCost)
    round_trip: RoundTrip = attrs.field()
    digest_cursor: Key | None = None
    """Up to where its digest has been compared."""
    is_silent: bool = False
    """Whether it was reported as silent, which is done once."""
    _grace_until: float = -math.inf
    _asked_at: float = -math.inf
    _their_clock: float = 0.0
    _their_clock_heard_at: float = 0.0
    _requested: dict[str, float] = attrs.field(factory=dict)

    @last_heard.default
    def _last_heard_default(self) -> float:
        return self.since

    @patience.default
    def _patience_default(self) -> Patience:
        return Patience(
            usual=USUAL_GAP * self.heartbeat_interval, most=MAX_PATIENCE * self.hold_time
        )

    @round_trip.default
    def _round_trip_default(self) -> RoundTrip:
        return RoundTrip(settled_at=self.since + SETTLING_TIME)

    def pace(self, hold_time: float, heartbeat_interval: float) -> None:
        """Expect and send heartbeats at another pace."""
        self.hold_time, self.heartbeat_interval = hold_time, heartbeat_interval
        self.patience.usual = USUAL_GAP * heartbeat_interval
        self.patience.most = MAX_PATIENCE * hold_time

    @property
    def cost(self) -> int:
        """Return the cost of the way to the neighbour."""
        return self.auto_cost.cost if self.cost_setting == AUTO_COST else self.cost_setting

    def contest(self, known: Origin | None) -> bool:
        """Compare who the neighbour proved to be with whom the network knows by its name, and tell
        whether they are two."""
        self.is_contested = (
            known is not None and self.origin is not None and known.key_id != self.origin.key_id
        )
        return self.is_contested

    @property
    def is_usable(self) -> bool:
        """Tell whether the network may count on the adjacency."""
        return self.damped_until is None and not self.is_contested and not self.is_outdated

    def hold_now(self) -> float:
        """Return the seconds of silence that are allowed after what was heard last."""
        return self.hold_time + self.patience.at(self.last_heard)

    def silent_at(self) -> float:
        """Return when the neighbour counts as silent unless it is heard before."""
        return max(self.last_heard + self.hold_now(), self._grace_until)

    def heard(self, at: float) -> None:
        """Take note that something came."""
        if at > self.last_heard:
            self.patience.heard(at - self.last_heard, at)
            self.last_heard = at

    def forgive(self, *, until: float) -> None:
        """Don't count the neighbour as silent before a time, because it was us who slept."""
        self._grace_until = until

    def receive_heartbeat(self, message: Heartbeat, *, now: float) -> bool:
        """Learn the peer's clock, to echo it, and the round trip from the echo of ours.

        Tells whether that has changed the cost.
        """
        if message.sent_at:
            self._their_clock = message.sent_at
            self._their_clock_heard_at = now
        sample = now - message.echo - message.echo_delay
        # An echo that is not possible says nothing; a wrong one harms only this link.
        if not (message.echo and message.echo >= self.since and sample >= 0.0):
            return False
        self.round_trip.add_sample(sample, now)
        return self.auto_cost.follow(self.round_trip.least, now) and self.cost_setting == AUTO_COST

    def heartbeat(self, *, now: float) -> Heartbeat:
        """Return the heartbeat to send."""
        echo, self._their_clock = self._their_clock, 0.0
        delay = now - self._their_clock_heard_at if echo else 0.0
        pause = ASK_INTERVAL / 2 if echo else ASK_INTERVAL
        if now < self.since + SETTLING_TIME or now >= self._asked_at + pause:
            self._asked_at = now
            return Heartbeat(sent_at=now, echo=echo, echo_delay=delay)
        return Heartbeat(echo=echo, echo_delay=delay)

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
            is_auto=self.cost_setting == AUTO_COST,
            round_trip=self.round_trip.estimate,
            last_heard=self.last_heard,
            since=self.since,
            hold_time=self.hold_now(),
            damped_until=self.damped_until,
        )
