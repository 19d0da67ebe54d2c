"""How the sites of an address compare: by how soon they answer, and by the flows that stay there.

A delay curve tells what a request has to wait for. Flows that are held, and ask little or nothing,
are on no curve: by delay alone all of them would go where a measurement happened to be the least by
a hair. So they count by their number, and differences that nobody could measure count for nothing.
Nor does what a few answers seem to tell, as a pause of the machine makes one late, or a burst.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import attrs

from van.balancing.delay_curve import DEEPER
from van.balancing.estimate import Candidate, SiteRecord, overdue_of, penalty_of, score_of

RESOLUTION = 0.001
"""Seconds: the round trips that links advertise are not told any better."""
RESOLUTION_RATIO = 0.25
"""The same as a part of what is told."""
WAITING = 1 / DEEPER
"""Part of a flow that one counts for which waits for an answer: the delay curve counts those, but
where it is flat many that begin at once would all go to one site."""
ERRORS = 2.0
"""Standard errors of the difference of two means within which these are equal."""


@attrs.define(eq=False)
class Standing:
    """Where a candidate stands among those of its precedence."""

    candidate: Candidate
    score: float
    """Seconds in which a flow that begins now is to be answered, and what is held there."""
    flows: float
    """Flows of ours there, for each unit of weight."""
    held: float
    """Those of them that the delay does not count, likewise."""
    stay: int
    """Flows of ours there that wait for no answer."""
    answer: float
    """Seconds that an answer takes there, with the path."""
    error: float
    """How far that may be wrong."""
    state: SiteRecord | None = None
    level: float | None = None
    """Seconds that count as its delay in the place of what is known of it, which is too little."""
    overdue: float = 0.0
    """Seconds that a request has waited far too long there, if there is a level."""

    @property
    def rank(self) -> tuple[float, ...]:
        """Return what candidates are sorted by; the least is best. Nothing speaks for the dearer
        path of two sites that answer as soon."""
        return self.score, self.candidate.cost, self.flows


def standings_of(
    candidates: Sequence[Candidate],
    states: Mapping[str, SiteRecord],
    default: float,
    now: float,
) -> list[Standing]:
    """Return where candidates stand, in no order; `default` is the delay where none is known."""
    found = []
    for band in _bands(candidates):
        standings = [_standing_of(each, states.get(each.site), default, now) for each in band]
        if len(standings) > 1:
            if any(each.stay for each in standings) or not any(map(_has_told, standings)):
                _level_unknown(standings, default, now)
            _weigh_held(standings)
        found += standings
    return found


def _bands(candidates: Sequence[Candidate]) -> Iterable[Sequence[Candidate]]:
    """Return the candidates of each precedence, most often those of the only one."""
    first = candidates[0].precedence if candidates else 0
    if all(each.precedence == first for each in candidates):
        return (candidates,)
    bands: dict[int, list[Candidate]] = {}
    for each in candidates:
        bands.setdefault(each.precedence, []).append(each)
    return bands.values()


def _standing_of(
    candidate: Candidate, state: SiteRecord | None, default: float, now: float
) -> Standing:
    score = score_of(candidate, state, default, now)
    answer = candidate.round_trip + default
    if state is None:
        return Standing(candidate, score, 0.0, 0.0, 0, answer, 0.0)
    if state.answers.samples:
        answer = state.answers.mean
    # The second point of the curve is the last one that is told: flows beyond it, of which no
    # report has come, would all seem to cost the same.
    waiting = state.waiting
    held = state.outstanding - waiting + WAITING * waiting + max(0, state.change - DEEPER)
    weight = candidate.weight
    return Standing(
        candidate,
        score,
        state.outstanding / weight,
        held / weight,
        state.outstanding - waiting,
        answer,
        state.answers.error,
        state,
    )


def _has_told(standing: Standing) -> bool:
    """Tell whether anything is known of how soon a site answers."""
    state = standing.state
    return state is not None and (state.answers.samples > 0 or state.unloaded > 0)


def _level_unknown(standings: list[Standing], default: float, now: float) -> None:
    """Take sites of which we have not seen enough for as soon as the best of the others, so that
    flows that stay are shared by their number; unless they failed, or leave us without a word."""
    answered = []
    for each in standings:
        if each.state is not None and each.state.answers.samples:
            answered.append(each)
            each.error = max(each.error, each.state.answers.doubt)
    best = min(answered, key=_answer, default=None)
    known = [each for each in answered if best is not None and _is_known(each, best)]
    level = min((each.score - each.candidate.round_trip for each in known), default=default)
    for each in standings:
        if each not in known:
            _level(each, level, now, answered, best)


def _is_known(standing: Standing, best: Standing) -> bool:
    """Tell whether we have seen enough of a site that has answered: often, or that it is slow."""
    state = standing.state
    return (state is not None and state.answers.are_enough) or not _is_as_quick(standing, best)


def _level(
    standing: Standing, level: float, now: float, answered: list[Standing], best: Standing | None
) -> None:
    """Have a site count as one that is as soon as others, and by the number of flows there."""
    round_trip, state = standing.candidate.round_trip, standing.state
    standing.level, standing.score = level, round_trip + level
    if best is not None:
        standing.answer = best.answer if standing in answered else max(best.answer, round_trip)
    if state is None:
        return
    standing.held = standing.flows
    if answered and state.unanswered:
        usual = max(each.state.answers.mean for each in answered if each.state is not None)
        standing.overdue = overdue_of(state, now, usual=usual)
        standing.score = max(standing.score, round_trip + standing.overdue)
    standing.score += penalty_of(state, now)


def _weigh_held(standings: list[Standing]) -> None:
    """Add to each score what is held there, as if each of these flows were to ask now; and to
    that of the soonest what nobody can measure, so that those that are as soon are equal.

    So they are shared in proportion to weights, and to how soon each site answers.
    """
    best = min(standings, key=_answer)
    soonest = min(each.score for each in standings)
    for each in standings:
        each.score = max(each.score, soonest + RESOLUTION)
        if each.held:
            answer = best.answer if _is_as_quick(each, best) else each.answer
            each.score += each.held * max(answer, RESOLUTION)


def _answer(standing: Standing) -> float:
    return standing.answer


def _is_as_quick(one: Standing, best: Standing) -> bool:
    """Tell whether the noise of what was measured is more than the difference of two means."""
    noise = ERRORS * math.hypot(one.error, best.error)
    return one.answer - best.answer <= max(RESOLUTION, RESOLUTION_RATIO * best.answer, noise)


def distances_of(
    candidates: Sequence[Candidate], states: Mapping[str, SiteRecord]
) -> dict[str, tuple[float, ...]]:
    """Return by site how far away it is: what the path costs, how long it takes, and our flows
    there for each unit of weight, which decide among those that are as near."""
    nearest: dict[tuple[int, int], float] = {}
    for each in candidates:
        band = each.precedence, each.cost
        nearest[band] = min(each.round_trip, nearest.get(band, math.inf))
    found: dict[str, tuple[float, ...]] = {}
    for each in candidates:
        least = nearest[each.precedence, each.cost]
        is_as_near = each.round_trip - least <= max(RESOLUTION, RESOLUTION_RATIO * least)
        state = states.get(each.site)
        flows = state.outstanding / each.weight if state is not None else 0.0
        found[each.site] = (each.cost, least if is_as_near else each.round_trip, flows)
    return found
