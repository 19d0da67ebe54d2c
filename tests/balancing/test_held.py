"""Flows that are held open, in simulation: any number, at once or in turn, is shared as it should.

The simulation is that of the benchmark, by whose figures the rule is judged.
"""

import pytest

from benchmarks.balancing.held import KINDS, Answered, Kind, worst

NEAR = 0.25
EQUAL = [name for name, kind in KINDS.items() if len({*kind.speeds}) == 1 and not kind.pause]


def bound(kind: Kind, count: int) -> float:
    """Return how far from its part a backend may be: a quarter, or a flow and a half of a few."""
    return max(NEAR, 1.5 / (count * min(kind.shares())))


@pytest.mark.parametrize("is_burst", [True, False])
@pytest.mark.parametrize("count", [30, 94, 300])
@pytest.mark.parametrize("name", EQUAL)
def test_every_backend_holds_its_part(name, count, is_burst):
    kind = KINDS[name]
    assert worst(kind, count, 1, is_burst=is_burst) <= bound(kind, count)


@pytest.mark.parametrize(("count", "is_burst"), [(30, True), (30, False), (300, True)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_pause_of_one_does_not_make_it_look_slow_before_anything_is_known(count, is_burst, seed):
    kind = KINDS["three equal, nothing known, one pauses"]
    assert worst(kind, count, seed, is_burst=is_burst) <= bound(kind, count)


@pytest.mark.parametrize("count", [30, 94, 300])
def test_unequal_backends_hold_in_proportion_to_how_soon_they_answer(count):
    kind = KINDS["speeds 4, 2, 1"]
    assert worst(kind, count, 1, is_burst=False) <= bound(kind, count)


@pytest.mark.parametrize("count", [30, 94, 300])
def test_of_a_burst_of_which_nothing_is_known_no_oracle_knows_enough(count):
    kind = KINDS["speeds 4, 2, 1, nothing known"]
    known = worst(kind, count, 1, is_burst=True, rule=Answered)
    assert NEAR < known < worst(kind, count, 1, is_burst=True)
