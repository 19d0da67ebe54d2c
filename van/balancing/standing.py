"""How the sites of an address compare: by how soon they answer, and by the flows that stay there.

A delay curve tells what a request has to wait for. Flows that are held, and ask little or nothing,
are on no curve: by delay alone all of them would go where a measurement happened to be the least by
a hair. So they count by their number, and differences that nobody could measure count for nothing.
Nor does what a few answers seem to tell, as a pause of the machine makes one late, or a burst.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import attrs

from van.balancing.answer_times import spread_of
from van.balancing.delay_curve import DEEPER
from van.balancing.estimate import (
    Candidate,
    SiteRecord,
    overdue_of,
    penalty_of,
    reported_delay,
    staying_part,
)

RESOLUTION = 0.001
"""Seconds: the round trips that links advertise are not told any better."""
RESOLUTION_RATIO = 0.25
"""The same as a part of what is told."""
WAITING = 1 / DEEPER
"""Part of a flow that one counts for which waits for an answer: the delay curve counts those, but
where it is flat many that begin at once would all go to one site."""
ERRORS = 3.0
"""Standard errors of the difference of two means within which these are equal."""
SLOWEST = 4.0
"""Times as long as the best that a site is believed to take of which little is known: one that met
a pause of the machine gets its next flow soon, and all that it lacks once that was answered."""


@attrs.define(eq=False)
class Standing:
    """Where a candidate stands among those of its precedence."""

    candidate: Candidate
    delay: float
    """Seconds in which a flow that begins now is to be answered, but for the path."""
    answer: float
    """Seconds that an answer takes there, with the path."""
    error: float = 0.0
    """How far that may be wrong."""
    overdue: float = 0.0
    """Seconds that a request has waited there, if that is far too long."""
    penalty: float = 0.0
    """Seconds that failures have added."""
    flows: float = 0.0
    """Flows of ours there, for each unit of weight."""
    held: float = 0.0
    """Those of them that the delay does not count, likewise."""
    stay: int = 0
    """Flows of ours there that wait for no answer."""
    held_delay: float = 0.0
    """Seconds that they count for, and what nobody can measure."""
    state: SiteRecord | None = None

    @property
    def wait(self) -> float:
        """Return the seconds that all but the path and what is held there takes."""
        return max(self.delay, self.overdue) + self.penalty

    @property
    def score(self) -> float:
        """Return what candidates are compared by, in seconds; the least is best."""
        return self.candidate.round_trip + self.wait + self.held_delay

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
            if any(each.stay for each in standings):
                _count_staying(standings, now)
                _level_unknown(standings, default, now)
            elif not any(map(_has_told, standings)):
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
    weight = candidate.weight
    if state is None:
        return Standing(candidate, default / weight, candidate.round_trip + default)
    known = state.answers.rounds > 0
    # The second point of the curve is the last one that is told: flows beyond it, of which no
    # report has come, would all seem to cost the same.
    waiting = state.waiting
    held = state.outstanding - waiting + WAITING * waiting + max(0, state.change - DEEPER)
    return Standing(
        candidate,
        reported_delay(state, default, weight, now),
        state.answers.typical if known else candidate.round_trip + default,
        state.answers.error,
        overdue_of(state, now) if state.unanswered else 0.0,
        penalty_of(state, now),
        state.outstanding / weight,
        held / weight,
        state.outstanding - waiting,
        state=state,
    )


def _has_told(standing: Standing) -> bool:
    """Tell whether anything is known of how soon a site answers."""
    state = standing.state
    return state is not None and (state.answers.rounds > 0 or state.unloaded > 0)


def _count_staying(standings: list[Standing], now: float) -> None:
    """Have our flows that wait count in full, by the part of the latest that stay, and not for the
    delay: these are all answered soon, and what they wait for each other tells of no more."""
    states = [each.state for each in standings if each.state is not None]
    part = staying_part(states, now)
    for each in standings:
        state = each.state
        if state is None:
            continue
        in_flight: float = state.outstanding
        if state.load is not None:
            in_flight = max(0.0, state.load.in_flight + state.change)
        others = max(0.0, in_flight - state.outstanding)
        each.delay -= part * each.delay * (1 - (1 + others) / (1 + in_flight))
        each.held += part * (each.flows - each.held)


def _level_unknown(standings: list[Standing], default: float, now: float) -> None:
    """Have sites of which we have not seen enough count by the number of flows there, and by what
    little is known of how soon they answer, but not by what is told; unless they failed, or leave
    us without a word."""
    answered = [each for each in standings if each.state is not None and each.state.answers.rounds]
    known = [each for each in answered if each.state is not None and each.state.answers.are_enough]
    level = min((each.wait - each.penalty for each in known), default=default)
    best = min(answered, key=_answer, default=None)
    slowest = max((each.answer for each in answered), default=0.0)
    spread = spread_of(each.state.answers for each in answered if each.state is not None)
    for each in standings:
        if each in known:
            continue
        each.delay, each.held, each.overdue = level, each.flows, 0.0
        if best is None:
            continue
        each.answer = _answer_of_unknown(each, best.answer, now)
        state = each.state or SiteRecord()
        each.error = state.answers.error_of_few(each.answer, spread)
        if state.unanswered:
            each.overdue = overdue_of(state, now, usual=slowest)


def _answer_of_unknown(standing: Standing, best: float, now: float) -> float:
    """Return the seconds that an answer of a site takes of which little is known: as long as one
    waits for the first by now, but no longer than the best by far."""
    state, round_trip = standing.state, standing.candidate.round_trip
    if state is not None and state.answers.rounds:
        answer = standing.answer
    else:
        oldest = next(iter(state.unanswered), None) if state is not None else None
        age = now - oldest.asked_at if oldest is not None else 0.0
        answer = max(best, round_trip, age)
    return min(answer, max(SLOWEST * best, round_trip))


def _weigh_held(standings: list[Standing]) -> None:
    """Add to each score what is held there, as if each of these flows were to ask now; and to
    that of the soonest what nobody can measure, so that those that are as soon are equal.

    So they are shared in proportion to weights, and to how soon each site answers.
    """
    best = min(standings, key=_answer)
    soonest = min(each.score for each in standings)
    for each in standings:
        each.held_delay = max(0.0, soonest + RESOLUTION - each.score)
        if each.held:
            answer = best.answer if _is_as_quick(each, best) else each.answer
            each.held_delay += each.held * max(answer, RESOLUTION)


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
