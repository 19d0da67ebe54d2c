import math
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from van.routing.adjacency.cost import (
    DWELL,
    UNKNOWN,
    WINDOW,
    AutoCost,
    LeastRecent,
    cost_of,
    step_of,
)
from van.wire.lsa import MAX_LINK_COST


class Measured:
    """A cost and the window before it, as a neighbour has them."""

    def __init__(self) -> None:
        self._auto = AutoCost()
        self._recent = LeastRecent()

    @property
    def cost(self) -> int:
        return self._auto.cost

    def add_sample(self, round_trip: float, now: float) -> bool:
        return self._auto.follow(self._recent.add(round_trip, now), now)


def test_cost_is_the_round_trip_in_milliseconds_on_a_scale_of_steps():
    assert [cost_of(round(step_of(ms / 1000))) for ms in (0.1, 1, 2, 4, 30, 100)] == [
        *(1, 1, 2, 4, 32, 91),
    ]


def test_steps_never_fall_and_end_at_the_highest_cost():
    costs = [cost_of(step) for step in range(60)]
    assert all(low <= high for low, high in pairwise(costs))
    assert costs[0] == 1
    assert costs[-1] == MAX_LINK_COST


@given(st.lists(st.floats(0.0001, 1.0), min_size=1, max_size=60))
def test_least_of_the_window_is_the_least_of_the_window(samples):
    least = LeastRecent()
    for number, sample in enumerate(samples):
        found = least.add(sample, number * 0.5)
        reach = math.ceil(WINDOW / 0.5)
        assert found == min(samples[max(0, number - reach + 1) : number + 1])


def test_cost_is_unknown_before_the_first_sample():
    auto = Measured()
    assert auto.cost == UNKNOWN
    assert auto.add_sample(0.008, 0.0)
    assert auto.cost == 8


def test_cost_does_not_follow_load():
    auto, rng = Measured(), Random(1)
    auto.add_sample(0.010, 0.0)
    cost = auto.cost
    for number in range(1, 2000):  # ten minutes in which queues come and go
        queue = rng.choice([0.0, 0.001, 0.05, 0.3])
        assert not auto.add_sample(0.010 + queue, number * 0.3)
    assert auto.cost == cost


def test_cost_does_not_follow_a_round_trip_between_two_steps_to_and_fro():
    auto, changes = Measured(), 0
    auto.add_sample(0.008, 0.0)
    for number in range(1, 2000):
        round_trip = 0.0094 if number // 100 % 2 else 0.0098  # about half a step from 8
        changes += auto.add_sample(round_trip, number * 0.3)
    assert changes == 0


def test_cost_follows_what_lasts():
    auto = Measured()
    auto.add_sample(0.010, 0.0)
    changed_at = [number * 0.3 for number in range(1, 200) if auto.add_sample(0.100, number * 0.3)]
    assert auto.cost == 91
    assert len(changed_at) == 1
    assert changed_at[0] <= WINDOW + DWELL + 1.0
