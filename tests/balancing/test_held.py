"""Flows that are held open, in simulation: any number, at once or in turn, is shared as it should.

The simulation is that of the benchmark, by whose figures the rule is judged.
"""

import statistics

import pytest

from benchmarks.balancing.held import KINDS, Answered, Kind, worst

NEAR = 0.25
PAUSED = 0.31
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


@pytest.mark.parametrize("is_burst", [True, False])
@pytest.mark.parametrize("count", [30, 94, 300])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_pause_of_one_does_not_make_it_look_slow(count, is_burst, seed):
    kind = KINDS["three equal, nothing known, one pauses"]
    # While it says nothing for six times as long as the others take, it gets a little less.
    near = max(bound(kind, count), PAUSED * is_burst)
    assert worst(kind, count, seed, is_burst=is_burst) <= near


@pytest.mark.parametrize("is_burst", [True, False])
@pytest.mark.parametrize("count", [30, 94, 300])
def test_unequal_backends_hold_in_proportion_to_how_soon_they_answer(count, is_burst):
    kind = KINDS["speeds 4, 2, 1"]
    found = [worst(kind, count, seed, is_burst=is_burst) for seed in range(5)]
    assert statistics.median(found) <= bound(kind, count)


@pytest.mark.parametrize("count", [30, 94, 300])
def test_of_a_burst_of_which_nothing_is_known_no_oracle_knows_enough(count):
    kind = KINDS["speeds 4, 2, 1, nothing known"]
    known = worst(kind, count, 1, is_burst=True, rule=Answered)
    assert NEAR < known < worst(kind, count, 1, is_burst=True)
