"""`van explain`, as people see it."""

from van.cli.render.explain import explain_sections
from van.cli.render.layout import plain_text
from van.control.values.paths import CandidateExplanation, Explain


def words(sections):
    return [" ".join(line.split()) for line in plain_text(sections).splitlines() if line]


def make_candidate(**changes):
    values = {
        "site": "east",
        "path": ("west", "hub", "east"),
        "cost": 2,
        "round_trip_ms": 30.0,
        "distribution": "balanced",
        "weight": 3,
        "precedence": 100,
        "flows": 4,
        "in_flight": 9.0,
        "report_age": 0.5,
        "expected_delay_ms": 12.0,
        "own_delay_ms": 40.0,
        "overdue": 0.0,
        "penalty_ms": 0.0,
        "ejected_for": 0.0,
        "score_ms": 42.0,
        "reason": "chosen",
    }
    return CandidateExplanation(**{**values, **changes})


def make_explain(**changes):
    values = {
        "address": "db:5432",
        "protocol": "tcp",
        "distribution": "balanced",
        "dissenters": (),
        "candidates": (
            make_candidate(),
            make_candidate(
                site="hub", path=("west", "hub"), in_flight=None, report_age=None, reason="why not"
            ),
        ),
        "not_allowed": (),
    }
    return Explain(**{**values, **changes})


def test_every_candidate_is_explained_in_its_order():
    assert words(explain_sections(make_explain())) == [
        "tcp db:5432, balanced",
        "SITE SCORE PATH RTT DELAY FLOWS IN FLIGHT REPORTED WEIGHT PRECEDENCE PATH WHY",
        "east 42 ms 30 ms 12 ms 4 9 0.5s ago 3 100 west > hub > east chosen",
        "hub 42 ms 30 ms 12 ms 4 never 3 100 west > hub why not",
    ]


def test_who_says_otherwise_is_named():
    lines = words(explain_sections(make_explain(dissenters=("hub",))))
    assert lines[-1] == "exposed otherwise at hub: the oldest counts"
