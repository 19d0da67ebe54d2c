"""Why each site has its place among the candidates, for people."""

import math

import attrs

from van.balancing.estimate import (
    Candidate,
    SiteRecord,
)
from van.balancing.standing import Standing


@attrs.frozen
class Explanation:
    """Why a site has its place among the candidates. Durations are seconds."""

    site: str
    round_trip: float
    cost: int
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
    held_delay: float
    """What the score has for flows that are held there, and that the expected delay does not
    count, and for differences that are too small to be any."""
    score: float
    reason: str


def explain_candidate(
    standing: Standing,
    best: Standing,
    states: dict[str, SiteRecord],
    now: float,
) -> Explanation:
    """Return what a candidate's score is made of, and why it is not the best if it is not."""
    candidate, score = standing.candidate, standing.score
    state = states.get(candidate.site) or SiteRecord()
    load = state.load
    explanation = Explanation(
        site=candidate.site,
        round_trip=candidate.round_trip,
        cost=candidate.cost,
        precedence=candidate.precedence,
        weight=candidate.weight,
        outstanding=state.outstanding,
        in_flight=None if load is None else max(0.0, load.in_flight + state.change),
        report_age=None if load is None else now - state.reported_at,
        expected_delay=standing.delay,
        own_delay=state.own if state.own_at > -math.inf else None,
        overdue=standing.overdue,
        penalty=standing.penalty,
        ejected_for=max(0.0, state.ejected_until - now),
        held_delay=standing.held_delay,
        score=score,
        reason="",
    )
    if state.silent_until > now and candidate is not best.candidate:
        reason = f"has said nothing to {state.silences} flows in a row: comes last"
    else:
        reason = _reason(explanation, candidate, best.candidate, state, score - best.score)
    return attrs.evolve(explanation, reason=reason)


def explain_distance(found: Explanation, best: Explanation) -> Explanation:
    """Say of a site that it is further away, where that alone counts."""
    if found is best or found.ejected_for > 0 or found.precedence < best.precedence:
        return found
    if found.cost > best.cost:
        return attrs.evolve(found, reason=f"its path costs {found.cost - best.cost} more")
    further = (found.round_trip - best.round_trip) * 1000
    return attrs.evolve(
        found, reason=f"{further:.1f} ms further" if further > 0 else "as near: chosen at random"
    )


def _reason(
    found: Explanation, candidate: Candidate, best: Candidate, state: SiteRecord, margin: float
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
    return _compare(found, margin)


def _compare(found: Explanation, margin: float) -> str:
    """Say by how much a candidate is worse that has failed nobody."""
    if found.held_delay > margin > 0:
        return f"holds {found.outstanding} flows from here already"
    return f"{margin * 1000:.1f} ms slower" if margin > 0 else "as good: chosen at random"
