"""Which site of an address gets a new flow: the one that is to answer it soonest.

The ingress knows the path's round trip, what each egress told of its backlog with the last flow,
what it has itself started and ended there since, and how the answers to its own flows came in. The
rule and how it was judged are in docs/balancing.md.
"""

import math
from collections.abc import Container, Sequence

import attrs

from van.balancing.delay_curve import DEEPER, OVERDUE, Load
from van.routing.paths.service_index import ServiceKey
from van.routing.schedule.rng import Rng

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
PENALTY = 0.25
"""Seconds that a failure adds to a site's score; with each further one twice as many."""
FORGIVE = 2.0
"""Seconds in which half of it is forgotten."""
EJECT_AFTER = 3
"""Failures in a row after which a site gets nothing for a while."""
EJECTION = 1.0
"""Seconds of that; with each further failure twice as many."""
MAX_EJECTION = 30.0
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


@attrs.define(eq=False)
class Work:
    """One flow, from its start at a site to its end."""

    candidate: Candidate
    states: dict[str, "_State"]
    """What is known of the sites of its address."""
    state: "_State"
    """What is known of its own."""
    expected: float
    """Seconds in which its answer was to come, when it started."""
    asked_at: float = 0.0
    is_opened: bool = False
    is_waiting: bool = False
    """Whether it has asked, and got no answer yet."""
    is_ended: bool = False


@attrs.define(eq=False)
class _State:
    """What is known of one site of one address."""

    outstanding: int = 0
    """Flows of ours there."""
    unopened: int = 0
    """Those of which no report counts yet: they came there after it was made."""
    unanswered: dict[Work, None] = attrs.field(factory=dict)
    """Those that wait for an answer, the oldest first, but for those that later ones overtook."""
    load: Load | None = None
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
    quick: int = 0
    """Answers in a row that came far sooner than was told."""
    failures: int = 0
    """In a row."""
    penalty: float = 0.0
    failed_at: float = -math.inf
    ejected_until: float = -math.inf


@attrs.frozen
class Explanation:
    """Why a site has its place among the candidates. Durations are seconds."""

    site: str
    round_trip: float
    precedence: int
    weight: int
    outstanding: int
    in_flight: float | None
    """As last reported, corrected by what was done from here since; None without a report."""
    report_age: float | None
    expected_delay: float
    own_delay: float | None
    overdue: float
    """How long the oldest request from here has waited, if that is much longer than it should."""
    penalty: float
    ejected_for: float
    score: float
    reason: str


class Balancer:
    """Ranks the sites of each address, and learns from every flow."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._states: dict[ServiceKey, dict[str, _State]] = {}

    # -- choosing ------------------------------------------------------------------------------

    def rank(self, service: ServiceKey, candidates: Sequence[Candidate], now: float) -> list[str]:
        """Return the candidates' sites, the one that gets the next flow first.

        A site of a lower precedence comes after all of a higher one. Those that are ejected come
        last within theirs, but never more than half of them are.
        """
        states = self._states.get(service, {})
        default = _typical(states)
        random = self._rng.random
        scored = [
            (
                -each.precedence,
                _score(each, states.get(each.site), default, now),
                random(),
                each.site,
            )
            for each in candidates
        ]
        scored.sort()
        if any(state.ejected_until > now for state in states.values()):
            scored = _with_ejected_last(scored, states, now)
        return [site for *_, site in scored]

    def rank_closest(
        self, service: ServiceKey, candidates: Sequence[Candidate], now: float
    ) -> list[str]:
        """Return the candidates' sites in the order of their distance, however busy they are."""
        states = self._states.get(service, {})
        scored = [
            (-each.precedence, each.round_trip, self._rng.random(), each.site)
            for each in candidates
        ]
        scored.sort()
        return [site for *_, site in _with_ejected_last(scored, states, now)]

    # -- learning ------------------------------------------------------------------------------

    def start(self, service: ServiceKey, candidate: Candidate, now: float) -> Work:
        """Count a flow that begins at a site; it ends with `end` or with `fail`."""
        states = self._states.setdefault(service, {})
        state = states.get(candidate.site)
        if state is None:
            state = states[candidate.site] = _State()
        expected = _score(candidate, state, _typical(states), now)
        state.outstanding += 1
        state.unopened += 1
        state.change += 1
        return Work(candidate, states, state, expected)

    def request_sent(self, work: Work, now: float) -> None:
        """Take note that the client has sent something, and waits for an answer."""
        work.asked_at = now
        work.is_waiting = True
        work.state.unanswered.pop(work, None)
        work.state.unanswered[work] = None

    def report(self, work: Work, load: Load, now: float) -> None:
        """Take what the egress tells with OPENED: the flow itself counts in it."""
        self._open(work)
        work.state.failures = 0
        _take(work.state, load, now)

    def response_started(self, work: Work, now: float) -> None:
        """Take note of the first of the answer."""
        if not work.is_waiting:
            return
        work.is_waiting = False
        state = work.state
        if work in state.unanswered:
            # Those that asked before it just take long: the site does answer.
            while next(iter(state.unanswered)) is not work:
                del state.unanswered[next(iter(state.unanswered))]
            del state.unanswered[work]
        # What is far sooner than was told: the site has recovered, and is soon to be tried again.
        told = 0.0 if state.load is None else state.load.expected_delay
        is_quick = OVERDUE * (now - work.asked_at - work.candidate.round_trip) < told
        state.quick = min(QUICK, state.quick + 1) if is_quick else 0
        keep = math.exp(-(now - state.own_at) / MEMORY)
        state.own = keep * state.own + (1 - keep) * (now - work.asked_at)
        state.own_at = now

    def request_abandoned(self, work: Work) -> None:
        """Take note that an answer is waited for no more: there may be none, or it was lost."""
        work.is_waiting = False
        work.state.unanswered.pop(work, None)

    def end(self, work: Work, now: float, load: Load | None = None) -> None:
        """Count a flow no more, whose egress reported this at its end."""
        self._leave(work)
        if load is not None:
            _take(work.state, load, now)

    def fail(self, work: Work, now: float) -> None:
        """Count a flow no more that the site refused, or that did not get there.

        That it ended so soon must not make the site look quick: the penalty is more than what is
        waited for less without it.
        """
        state = work.state
        default = _typical(work.states)
        before = _delay(work.candidate, state, default, now)
        self._leave(work)
        relief = max(0.0, before - _delay(work.candidate, state, default, now))
        penalty = PENALTY * 2 ** min(state.failures, 6)
        state.penalty = _penalty(state, now) + relief + penalty
        state.failed_at = now
        state.failures += 1
        if state.failures >= EJECT_AFTER:
            excess = min(state.failures - EJECT_AFTER, 10)
            state.ejected_until = now + min(MAX_EJECTION, EJECTION * 2**excess)

    def forget(self, service: ServiceKey, sites: Container[str]) -> None:
        """Forget what is known of sites that do not serve an address any more."""
        states = self._states.get(service)
        if states is None:
            return
        for site in [each for each in states if each not in sites]:
            del states[site]
        if not states:
            del self._states[service]

    # -- looking -------------------------------------------------------------------------------

    def outstanding(self, service: ServiceKey) -> dict[str, int]:
        """Return the flows under way from here, by site."""
        states = self._states.get(service, {})
        return {site: state.outstanding for site, state in states.items() if state.outstanding}

    def explain(
        self,
        service: ServiceKey,
        candidates: Sequence[Candidate],
        now: float,
        *,
        is_closest: bool = False,
    ) -> list[Explanation]:
        """Return what the ranking is made of, in its order."""
        states = self._states.get(service, {})
        default = _typical(states)
        by_site = {each.site: each for each in candidates}
        rank = self.rank_closest if is_closest else self.rank
        ranked = [by_site[site] for site in rank(service, candidates, now)]
        best = ranked[0] if ranked else None
        found = [_explain(each, best, states, default, now) for each in ranked if best is not None]
        return [_by_distance(each, found[0]) for each in found] if is_closest else found

    def _open(self, work: Work) -> None:
        if not work.is_opened:
            work.is_opened = True
            work.state.unopened -= 1

    def _leave(self, work: Work) -> None:
        assert not work.is_ended
        work.is_ended = True
        work.is_waiting = False
        self._open(work)
        state = work.state
        state.outstanding -= 1
        state.change -= 1
        state.unanswered.pop(work, None)


def _take(state: _State, load: Load, now: float) -> None:
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


Scored = tuple[int, float, float, str]


def _with_ejected_last(scored: list[Scored], states: dict[str, _State], now: float) -> list[Scored]:
    """Put the ejected sites of each band behind the others; of more than half, the worst stay."""
    ejected = {
        site
        for *_, site in scored
        if (state := states.get(site)) is not None and state.ejected_until > now
    }
    for band in {each[0] for each in scored}:
        of_band = [each[3] for each in scored if each[0] == band]
        out = [site for site in of_band if site in ejected]
        ejected.difference_update(out[: max(0, len(out) - len(of_band) // 2)])
    return sorted(scored, key=lambda each: (each[0], each[3] in ejected, each[1], each[2]))


def _typical(states: dict[str, _State]) -> float:
    """Return the delay of one piece of work alone at the site in the middle, or before that."""
    known = [state.unloaded for state in states.values() if state.unloaded > 0]
    if not known:
        return UNKNOWN_DELAY
    known.sort()
    return known[(len(known) - 1) // 2]


def _score(candidate: Candidate, state: _State | None, default: float, now: float) -> float:
    return candidate.round_trip + _delay(candidate, state, default, now)


def _delay(candidate: Candidate, state: _State | None, default: float, now: float) -> float:
    """Return the seconds in which a flow that begins now is to be answered, but for the path."""
    if state is None:
        return default / candidate.weight
    delay = _expected(state, default, candidate.weight, now)
    if state.unanswered:
        delay = max(delay, _overdue(state, now))
    return delay + _penalty(state, now)


def _expected(state: _State, default: float, weight: int, now: float) -> float:
    """Return what the last report says, corrected by what was done from here since.

    It does not stay true. Where it was less than usual, others have sent work since; where it was
    more than elsewhere, the site may have become better, and only work would tell.
    """
    load = state.load
    if load is None:
        return max(default * (1 + state.outstanding) / weight, _own(state, now))
    near = load.expected_delay
    if near <= 0:
        told = default * (1 + max(0.0, load.in_flight + state.change)) / weight
        return max(told, _own(state, now))
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


def _own(state: _State, now: float) -> float:
    """Return the mean delay that we saw, of which less and less counts."""
    return state.own * math.exp((state.own_at - now) / MEMORY)


def _overdue(state: _State, now: float) -> float:
    """Return how long the oldest request waits, if that is much longer than it was to."""
    unanswered = state.unanswered
    while unanswered:
        oldest = next(iter(unanswered))
        age = now - oldest.asked_at
        if age < GIVE_UP:
            return age if age > OVERDUE * oldest.expected else 0.0
        # It may be one that has no answer.
        del unanswered[oldest]
    return 0.0


def _penalty(state: _State, now: float) -> float:
    if not state.penalty:
        return 0.0
    return float(state.penalty * 0.5 ** ((now - state.failed_at) / FORGIVE))


def _explain(
    candidate: Candidate,
    best: Candidate,
    states: dict[str, _State],
    default: float,
    now: float,
) -> Explanation:
    state = states.get(candidate.site) or _State()
    score = _score(candidate, states.get(candidate.site), default, now)
    load = state.load
    explanation = Explanation(
        site=candidate.site,
        round_trip=candidate.round_trip,
        precedence=candidate.precedence,
        weight=candidate.weight,
        outstanding=state.outstanding,
        in_flight=None if load is None else max(0.0, load.in_flight + state.change),
        report_age=None if load is None else now - state.reported_at,
        expected_delay=_expected(state, default, candidate.weight, now),
        own_delay=state.own if state.own_at > -math.inf else None,
        overdue=_overdue(state, now),
        penalty=_penalty(state, now),
        ejected_for=max(0.0, state.ejected_until - now),
        score=score,
        reason="",
    )
    margin = score - _score(best, states.get(best.site), default, now)
    return attrs.evolve(explanation, reason=_reason(explanation, candidate, best, state, margin))


def _by_distance(found: Explanation, best: Explanation) -> Explanation:
    """Say of a site that it is further away, where that alone counts."""
    if found is best or found.ejected_for > 0 or found.precedence < best.precedence:
        return found
    further = (found.round_trip - best.round_trip) * 1000
    return attrs.evolve(
        found, reason=f"{further:.1f} ms further" if further > 0 else "as near: chosen at random"
    )


def _reason(
    found: Explanation, candidate: Candidate, best: Candidate, state: _State, margin: float
) -> str:
    """Say why a candidate is not the one that is chosen."""
    if candidate is best:
        return "chosen"
    if candidate.precedence < best.precedence:
        return f"precedence {candidate.precedence} is lower than {best.precedence}"
    if found.ejected_for > 0:
        return f"failed {state.failures} times in a row: out for another {found.ejected_for:.1f} s"
    if found.overdue > 0:
        return f"a request has waited there for {found.overdue:.1f} s"
    if found.penalty > abs(margin):
        return f"a flow failed there {state.failures} times of late"
    return f"{margin * 1000:.1f} ms slower" if margin > 0 else "as good: chosen at random"
