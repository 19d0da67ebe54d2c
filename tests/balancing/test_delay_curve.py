from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.balancing.delay_curve import DEEPER, OVERDUE, DelayCurve

MEAN = 0.02

in_flight = st.floats(0, 1000)
delays = st.floats(1e-6, 100)
samples = st.lists(st.tuples(in_flight, delays), min_size=1, max_size=60)


def taught(pairs) -> DelayCurve:
    curve = DelayCurve()
    for found, delay in pairs:
        curve.sample(found, delay)
    return curve


def of_workers(workers: int, seed: int = 1, each: int = 200, speed: float = 1.0) -> DelayCurve:
    """Return the curve of a target that works on so many at a time, if each takes as long."""
    rng = Random(seed)
    curve = DelayCurve()
    for found in [*range(20)] * each:
        curve.sample(found, MEAN / speed * max(1, (found + 1) / workers) * rng.uniform(0.5, 1.5))
    return curve


def test_nothing_known_is_nothing_expected():
    curve = DelayCurve()
    assert curve.is_empty
    assert curve.expected(7) == 0
    load = curve.load(7)
    assert (load.in_flight, load.expected_delay, load.expected_delay_deeper) == (7, 0, 0)


def test_one_at_a_time_is_believed_until_more_is_seen():
    curve = taught([(0, MEAN)])
    assert not curve.is_empty
    assert curve.expected(0) == pytest.approx(MEAN)
    assert curve.expected(3) == pytest.approx(4 * MEAN)


def test_less_than_was_ever_seen_is_scaled_down():
    assert taught([(9, 1.0)]).expected(0) == pytest.approx(0.1)


def test_between_two_numbers_the_curve_is_straight():
    assert taught([(0, 1.0), (4, 3.0)]).expected(1) == pytest.approx(1.5)


@pytest.mark.parametrize("workers", [1, 4, 16])
def test_number_of_workers_is_learned(workers):
    curve = of_workers(workers)
    for found in range(20):
        truth = MEAN * max(1, (found + 1) / workers)
        assert curve.expected(found) == pytest.approx(truth, rel=0.25)


def test_change_of_speed_is_learned():
    curve = of_workers(4)
    before = curve.expected(2)
    for _ in range(60):
        curve.sample(2, 20 * MEAN)
    assert curve.expected(2) > 10 * before
    # Sooner than one mean alone would: a row of samples is nothing beside what was expected.
    for _ in range(15):
        curve.sample(2, MEAN)
    assert curve.expected(2) < 3 * before


def test_what_was_seen_long_ago_does_not_hide_that_it_became_slow():
    curve = of_workers(4)
    for _ in range(100):
        curve.sample(0, 20 * MEAN)
    assert curve.expected(0) > 10 * MEAN


@given(samples, in_flight, in_flight)
def test_more_work_never_makes_the_next_piece_sooner(pairs, one, other):
    curve = taught(pairs)
    less, more = sorted([one, other])
    assert curve.expected(less) <= curve.expected(more) * (1 + 1e-9)


@given(samples, in_flight)
def test_expectation_stays_within_what_was_seen_and_what_one_at_a_time_takes(pairs, found):
    curve = taught(pairs)
    least, most = min(delay for _, delay in pairs), max(delay for _, delay in pairs)
    expected = curve.expected(found)
    assert least / (1 + max(each for each, _ in pairs)) * 0.999 <= expected
    assert expected <= most * (1 + found) * 1.001


@given(samples, st.floats(0, 100), st.floats(0, 1000))
def test_load_tells_two_points_of_the_curve(pairs, found, age):
    curve = taught(pairs)
    load = curve.load(found, oldest_age=age)
    assert load.in_flight == found
    assert load.expected_delay >= curve.expected(found)
    assert load.expected_delay_deeper >= load.expected_delay
    if age <= OVERDUE * curve.expected(found):
        assert load.expected_delay == curve.expected(found)
        assert load.expected_delay_deeper == pytest.approx(curve.expected(found + DEEPER))


def test_work_that_waits_far_too_long_is_believed():
    curve = of_workers(4)
    assert curve.load(2, oldest_age=2 * MEAN).expected_delay == curve.expected(2)
    assert curve.load(2, oldest_age=5.0).expected_delay == 5.0
    assert curve.load(2, oldest_age=5.0).expected_delay_deeper >= 5.0


@given(st.lists(st.tuples(st.floats(0, 1e9), delays), max_size=300))
def test_memory_is_bounded(pairs):
    curve = taught(pairs)
    assert len(curve._buckets) <= 65
