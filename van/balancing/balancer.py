"""Which site of an address gets a new flow: the one that is to answer it soonest.

The ingress knows the path's round trip, what each egress told of its backlog with the last flow,
what it has itself started and ended there since, and how the answers to its own flows came in. The
rule and how it was judged are in docs/balancing.md.
"""

import math
from collections.abc import Container, Sequence

from van.balancing.answer_times import spread_of
from van.balancing.delay_curve import OVERDUE, Told
from van.balancing.estimate import (
    MEMORY,
    QUICK,
    Candidate,
    SiteRecord,
    Work,
    count_of_late,
    delay_of,
    penalty_of,
    take_report,
    typical_delay,
)
from van.balancing.explanation import Explanation, explain_candidate, explain_distance
from van.balancing.standing import distances_of, standings_of
from van.routing.paths.service_index import ServiceKey
from van.routing.schedule.rng import Rng

PENALTY = 0.25
"""Seconds that a failure adds to a site's score; with each further one twice as many."""
EJECT_AFTER = 3
"""Failures in a row after which a site gets nothing for a while."""
EJECTION = 1.0
"""Seconds of that; with each further failure twice as many."""
MAX_EJECTION = 30.0
SILENCE = 10.0
"""Seconds for which a site that has said nothing to a flow comes after all others, also those of a
lower precedence, as each flow would wait for it in vain; after each further one twice as long."""
MAX_SILENCE = 60.0


class Balancer:
    """Ranks the sites of each address, and learns from every flow."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._states: dict[ServiceKey, dict[str, SiteRecord]] = {}

    # -- choosing ------------------------------------------------------------------------------

    def rank(self, service: ServiceKey, candidates: Sequence[Candidate], now: float) -> list[str]:
        """Return the candidates' sites, the one that gets the next flow first.

        A site of a lower precedence comes after all of a higher one. Those that are ejected come
        last within theirs, but never more than half of them are. Those that are silent come last
        of all.
        """
        states = self._states.get(service, {})
        default = typical_delay(states)
        random = self._rng.random
        scored: list[Scored] = [
            (-each.candidate.precedence, each.rank, random(), each.candidate.site)
            for each in standings_of(candidates, states, default, now)
        ]
        scored.sort()
        if any(state.ejected_until > now for state in states.values()):
            scored = _with_ejected_last(scored, states, now)
        return _with_silent_last(scored, states, now)

    def rank_closest(
        self, service: ServiceKey, candidates: Sequence[Candidate], now: float
    ) -> list[str]:
        """Return the candidates' sites in the order of their distance, however busy they are."""
        states = self._states.get(service, {})
        distances = distances_of(candidates, states)
        scored: list[Scored] = [
            (-each.precedence, distances[each.site], self._rng.random(), each.site)
            for each in candidates
        ]
        scored.sort()
        return _with_silent_last(_with_ejected_last(scored, states, now), states, now)

    # -- learning ------------------------------------------------------------------------------

    def start(self, service: ServiceKey, candidate: Candidate, now: float) -> Work:
        """Count a flow that begins at a site; it ends with `end` or with `fail`."""
        states = self._states.setdefault(service, {})
        state = states.get(candidate.site)
        if state is None:
            state = states[candidate.site] = SiteRecord()
        delay = delay_of(candidate, state, typical_delay(states), now)
        state.outstanding += 1
        state.unopened += 1
        state.change += 1
        return Work(candidate, states, state, candidate.round_trip + delay)

    def request_sent(self, work: Work, now: float) -> None:
        """Take note that the client has sent something, and waits for an answer."""
        work.asked_at = now
        if work.is_waiting:  # it comes behind the others now
            work.state.unanswered.pop(work, None)
        else:
            work.is_waiting = True
            work.state.waiting += 1
        work.state.unanswered[work] = None

    def report(self, work: Work, load: Told | None, now: float) -> None:
        """Take note that the egress has the flow, and what it tells with that, if it does: the flow
        itself counts in it."""
        self._open(work)
        state = work.state
        state.failures = state.silences = 0
        state.silent_until = -math.inf
        if load is not None:
            take_report(state, load, now)

    def response_started(self, work: Work, now: float) -> None:
        """Take note of the first of the answer."""
        if not work.is_waiting:
            return
        state = work.state
        work.is_waiting = False
        state.waiting -= 1
        if work in state.unanswered:
            # Those that asked before it just take long: the site does answer.
            while next(iter(state.unanswered)) is not work:
                del state.unanswered[next(iter(state.unanswered))]
            del state.unanswered[work]
        # What is far sooner than was told: the site has recovered, and is soon to be tried again.
        told = 0.0 if state.load is None else state.load.expected_delay
        is_quick = OVERDUE * (now - work.asked_at - work.candidate.round_trip) < told
        state.quick = min(QUICK, state.quick + 1) if is_quick else 0
        spread = 0.0
        if not state.answers.are_enough:
            spread = spread_of(each.answers for each in work.states.values())
        state.answers.add(now - work.asked_at, now, spread)
        if not work.is_answered:
            work.is_answered = True
            count_of_late(state, now, answered=1)
        keep = math.exp(-(now - state.own_at) / MEMORY)
        state.own = keep * state.own + (1 - keep) * (now - work.asked_at)
        state.own_at = now

    def request_abandoned(self, work: Work) -> None:
        """Take note that an answer is waited for no more: there may be none, or it was lost."""
        if work.is_waiting:
            work.is_waiting = False
            work.state.waiting -= 1
            work.state.unanswered.pop(work, None)

    def end(self, work: Work, now: float, load: Told | None = None) -> None:
        """Count a flow no more, whose egress reported this at its end, if it did."""
        self._leave(work)
        if work.is_answered:
            count_of_late(work.state, now, ended=1)
        if load is not None:
            take_report(work.state, load, now)

    def fail(self, work: Work, now: float, *, is_silent: bool = False) -> None:
        """Count a flow no more that the site refused, that did not get there, or to which it said
        nothing.

        That it ended so soon must not make the site look quick: the penalty is more than what is
        waited for less without it.
        """
        state = work.state
        default = typical_delay(work.states)
        before = delay_of(work.candidate, state, default, now)
        self._leave(work)
        relief = max(0.0, before - delay_of(work.candidate, state, default, now))
        penalty = PENALTY * 2 ** min(state.failures, 6)
        state.penalty = penalty_of(state, now) + relief + penalty
        state.failed_at = now
        state.failures += 1
        if is_silent:
            state.silent_until = now + min(MAX_SILENCE, SILENCE * 2 ** min(state.silences, 3))
            state.silences += 1
        if state.failures >= EJECT_AFTER:
            excess = min(state.failures - EJECT_AFTER, 10)
            state.ejected_until = now + min(MAX_EJECTION, EJECTION * 2**excess)

    def forget_all_but(self, services: Container[ServiceKey]) -> None:
        """Forget what is known of addresses that nobody serves any more."""
        for service in [each for each in self._states if each not in services]:
            del self._states[service]

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
        default = typical_delay(states)
        by_site = {each.site: each for each in candidates}
        rank = self.rank_closest if is_closest else self.rank
        ranked = [by_site[site] for site in rank(service, candidates, now)]
        best = ranked[0] if ranked else None
        standings = {
            each.candidate.site: each for each in standings_of(candidates, states, default, now)
        }
        found = [
            explain_candidate(standings[each.site], standings[best.site], states, now)
            for each in ranked
            if best is not None
        ]
        return [explain_distance(each, found[0]) for each in found] if is_closest else found

    def _open(self, work: Work) -> None:
        if not work.is_opened:
            work.is_opened = True
            work.state.unopened -= 1

    def _leave(self, work: Work) -> None:
        assert not work.is_ended
        work.is_ended = True
        if work.is_waiting:
            self.request_abandoned(work)
        if not work.is_opened:
            self._open(work)
        state = work.state
        state.outstanding -= 1
        state.change -= 1


Scored = tuple[int, tuple[float, ...], float, str]


def _with_ejected_last(
    scored: list[Scored], states: dict[str, SiteRecord], now: float
) -> list[Scored]:
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


def _with_silent_last(scored: list[Scored], states: dict[str, SiteRecord], now: float) -> list[str]:
    """Return the sites of a ranking, with those behind the others that said nothing of late."""
    sites = [site for *_, site in scored]
    silent = [
        site
        for site in sites
        if (state := states.get(site)) is not None and state.silent_until > now
    ]
    return [*(site for site in sites if site not in silent), *silent] if silent else sites
