"""What an ingress knows of each site of an address, and the delay that follows from it.

A report of an egress is corrected by what was done from here since it was made, and is believed
less and less. The delays that the ingress itself saw, and how long its oldest request has waited,
bound it from below; failures add a penalty. Times are seconds of the caller's clock.
"""

import math
from collections.abc import Iterable

import attrs

from van.balancing.answer_times import AnswerTimes
from van.balancing.delay_curve import DEEPER, OVERDUE, Told

STALE = 2.0
"""Times a site's usual delay in which a report that it is less comes to say nothing any more."""
RETRY = 0.7
"""Seconds in which what a site told loses a factor of e, down to what one piece of work takes,
while none of our requests waits there: it may have become better, and only work would tell."""
USUAL = 0.3
"""Part of a new report in the usual delay."""
QUICK = 3
"""Answers in a row, far sooner than was told, that count as evidence that a site has recovered."""
SOONER = 4.0
"""Times sooner that a site is tried again for each of these."""
MEMORY = 2.0
"""Seconds in which the ingress's own mean of delays loses a factor of e."""
UNKNOWN_DELAY = 0.001
"""Seconds taken for a piece of work where nothing is known of any site."""
FORGIVE = 2.0
"""Seconds in which half of it is forgotten."""
LATE = 0.25
"""Seconds in which half of the flows that were answered, or ended, are of late no more."""
GIVE_UP = 60.0
"""Seconds after which a request is not waited for any more."""


@attrs.frozen
class Candidate:
    """A site that serves an address."""

    site: str
    round_trip: float
    """Seconds that the way there and back takes."""
    weight: int = 1
    precedence: int = 100
    cost: int = 0
    """Of the path there."""


@attrs.define(eq=False)
class Work:
    """One flow, from its start at a site to its end."""

    candidate: Candidate
    states: dict[str, "SiteRecord"]
    """What is known of the sites of its address."""
    state: "SiteRecord"
    """What is known of its own."""
    expected: float
    """Seconds in which its answer was to come, when it started."""
    asked_at: float = 0.0
    is_opened: bool = False
    is_waiting: bool = False
    """Whether it has asked, and got no answer yet."""
    is_answered: bool = False
    """Whether it ever got one."""
    is_ended: bool = False


@attrs.define(eq=False)
class SiteRecord:
    """What is known of one site of one address."""

    outstanding: int = 0
    """Flows of ours there."""
    unopened: int = 0
    """Those of which no report counts yet: they came there after it was made."""
    unanswered: dict[Work, None] = attrs.field(factory=dict)
    """Those that wait for an answer, the oldest first, but for those that later ones overtook."""
    waiting: int = 0
    """All that wait for an answer."""
    answered: float = 0.0
    """Flows that got their first answer of late."""
    ended: float = 0.0
    """Flows that ended of late, and had been answered."""
    counted_at: float = -math.inf
    load: Told | None = None
    reported_at: float = -math.inf
    change: int = 0
    """Flows of ours that the report does not count, less ended ones that it does."""
    usual: float = 0.0
    """Mean of the delays that were reported, in seconds; 0 while none was."""
    unloaded: float = 0.0
    """Mean of what one piece of work had in them."""
    own: float = 0.0
    """Mean delay that we saw, in seconds; 0 while we saw none."""
    own_at: float = -math.inf
    answers: AnswerTimes = attrs.field(factory=AnswerTimes)
    quick: int = 0
    """Answers in a row that came far sooner than was told."""
    failures: int = 0
    """In a row."""
    penalty: float = 0.0
    failed_at: float = -math.inf
    ejected_until: float = -math.inf
    silences: int = 0
    """Flows in a row to which it said nothing."""
    silent_until: float = -math.inf
    """When it is to be tried again though others are there."""


def take_report(state: SiteRecord, load: Told, now: float) -> None:
    """Take a report, which counts all flows from here that came there before it was made.

    What says so of a flow follows it back, so that these are the ones that are known to be open.
    """
    state.load, state.reported_at, state.change = load, now, state.unopened
    delay = load.expected_delay
    # What is far less than usual tells that the site has recovered.
    is_new = state.usual == 0 or OVERDUE * delay < state.usual
    gain = 1.0 if is_new else USUAL
    state.usual += gain * (delay - state.usual)
    state.unloaded += gain * (delay / (1 + load.in_flight) - state.unloaded)


def count_of_late(state: SiteRecord, now: float, *, answered: int = 0, ended: int = 0) -> None:
    """Count flows that were answered for the first time, and answered ones that ended."""
    keep = 0.5 ** ((now - state.counted_at) / LATE)
    state.answered = keep * state.answered + answered
    state.ended = keep * state.ended + ended
    state.counted_at = now


def staying_part(states: Iterable[SiteRecord], now: float) -> float:
    """Return the part of the flows that were answered of late that stay."""
    answered = ended = 0.0
    for each in states:
        keep = 0.5 ** ((now - each.counted_at) / LATE)
        answered += keep * each.answered
        ended += keep * each.ended
    return max(0.0, 1 - ended / answered) if answered else 0.0


def typical_delay(states: dict[str, SiteRecord]) -> float:
    """Return the delay of one piece of work alone at the site in the middle, or before that."""
    known = [state.unloaded for state in states.values() if state.unloaded > 0]
    if len(known) == 1:
        return known[0]
    if not known:
        return UNKNOWN_DELAY
    known.sort()
    return known[(len(known) - 1) // 2]


def delay_of(candidate: Candidate, state: SiteRecord | None, default: float, now: float) -> float:
    """Return the seconds in which a flow that begins now is to be answered, but for the path."""
    if state is None:
        return default / candidate.weight
    delay = reported_delay(state, default, candidate.weight, now)
    if state.unanswered:
        delay = max(delay, overdue_of(state, now))
    return delay + penalty_of(state, now) if state.penalty else delay


def reported_delay(state: SiteRecord, default: float, weight: int, now: float) -> float:
    """Return what the last report says, corrected by what was done from here since.

    It does not stay true. Where it was less than usual, others have sent work since; where it was
    more than elsewhere, the site may have become better, and only work would tell.
    """
    load = state.load
    if load is None:
        return max(default * (1 + state.outstanding) / weight, own_delay_of(state, now))
    near = load.expected_delay
    if near <= 0:
        told = default * (1 + max(0.0, load.in_flight + state.change)) / weight
        return max(told, own_delay_of(state, now))
    slope = (load.expected_delay_deeper - near) / DEEPER
    # Fewer than reported make it quicker, but by no more than one at a time would.
    delay = max(near / (1 + load.in_flight), near + slope * state.change)
    age = now - state.reported_at
    usual = state.usual
    if delay < usual:
        delay = usual - (usual - delay) * math.exp(-age / (STALE * usual))
    if delay > default and not state.unanswered:
        delay = default + (delay - default) * math.exp(-age * SOONER**state.quick / RETRY)
    return delay


def own_delay_of(state: SiteRecord, now: float) -> float:
    """Return the mean delay that we saw, of which less and less counts."""
    return state.own * math.exp((state.own_at - now) / MEMORY)


def overdue_of(state: SiteRecord, now: float, *, usual: float = 0.0) -> float:
    """Return how long the oldest request waits, if that is much longer than it was to, and than is
    usual."""
    unanswered = state.unanswered
    while unanswered:
        oldest = next(iter(unanswered))
        age = now - oldest.asked_at
        if age < GIVE_UP:
            is_overdue = age > OVERDUE * oldest.expected and age > OVERDUE * usual
            return age if is_overdue else 0.0
        # It may be one that has no answer.
        del unanswered[oldest]
    return 0.0


def penalty_of(state: SiteRecord, now: float) -> float:
    """Return what is left of the seconds that failures have added."""
    if not state.penalty:
        return 0.0
    return float(state.penalty * 0.5 ** ((now - state.failed_at) / FORGIVE))
