"""How flows are shared among the instances of one site."""

from collections import Counter
from random import Random

import pytest

from van.balancing.sharing import LONG_PAUSE, Occupancy, in_order

COUNT = 94


def share(alone, *, weights=(1, 1, 1), noise=0.0, pauses=0.0, seed=1):
    """Return how many of some flows, that ask once and stay, each instance has; so many of the
    answers come late, for no fault of the instance."""
    rng = Random(seed)
    took: list[list[float]] = [[] for _ in alone]
    for _ in range(COUNT):
        means = [sum(each) / len(each) if each else 0.0 for each in took]
        found = [
            Occupancy(mean, mean, len(each), 0, weight, len(each))
            for mean, each, weight in zip(means, took, weights, strict=True)
        ]
        first = in_order(found, rng.random)[0]
        late = LONG_PAUSE if rng.random() < pauses else 0.0
        took[first].append(alone[first] * (1 + rng.uniform(0, noise)) + late)
    return [len(each) for each in took]


@pytest.mark.parametrize("alone", [0.0, 0.0001, 0.02])
@pytest.mark.parametrize("seed", range(5))
def test_flows_that_stay_are_even_over_equals_whatever_is_measured_of_them(alone, seed):
    held = share([alone] * 3, noise=0.2, seed=seed)
    assert max(held) - min(held) <= 1
    assert min(share([alone] * 3, noise=0.2, pauses=0.05, seed=seed)) >= COUNT / 3 * 0.75


def test_flows_that_stay_are_in_proportion_to_speed_and_to_weight():
    assert share([0.02, 0.04, 0.08]) == pytest.approx([54, 27, 13], abs=2)
    assert share([0.0001] * 3, weights=(1, 2, 3)) == pytest.approx([16, 31, 47], abs=2)


def test_one_that_is_behind_gets_nothing_until_it_has_caught_up():
    quick, behind = Occupancy(0.02, 0.02, 5, 5), Occupancy(0.5, 0.02, 5, 5)
    assert in_order([behind, quick], Random(1).random) == [1, 0]


def test_one_of_which_nothing_is_known_gets_no_more_than_the_others():
    known, new = [Occupancy(0.02, 0.02, 3, 0)] * 2, Occupancy(0.0, 0.0, 0, 0)
    first = Counter(in_order([*known, new], Random(seed).random)[0] for seed in range(20))
    assert first == {2: 20}
    as_many = Occupancy(0.0, 0.0, 3, 0)
    first = Counter(in_order([*known, as_many], Random(seed).random)[0] for seed in range(60))
    assert min(first[place] for place in range(3)) >= 8
