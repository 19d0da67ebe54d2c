"""Two routers with the keys of one site are noticed by their turns; a restart is not."""

from hypothesis import given
from hypothesis import strategies as st

from van.routing.engine.copies import MIN_RETURNS, Copies, Run

OURS, OTHER, THIRD = Run(1, 100.0), Run(2, 200.0), Run(3, 300.0)


def test_a_run_that_comes_back_after_another_shows_that_there_are_two():
    copies = Copies("us", OURS)
    assert not copies.receive("far", OTHER)
    assert not copies.receive("far", OTHER)
    assert not copies.receive("far", THIRD)
    assert copies.receive("far", OTHER)
    assert copies.receive("far", THIRD)


@given(st.lists(st.integers(1, 100), unique=True))
def test_a_site_that_starts_anew_however_often_is_one(runs):
    copies = Copies("us", OURS)
    assert not any(copies.receive("far", Run(each, 1.0)) for each in runs)


def test_an_old_run_of_ours_is_no_copy_until_it_answers():
    copies = Copies("us", OURS)
    assert not copies.receive("us", OTHER)
    assert copies.receive("us", OTHER)


def test_the_younger_makes_way_once_it_is_sure():
    for ours, other, makes_way in ((OTHER, OURS, True), (OURS, OTHER, False), (OURS, OURS, False)):
        copies = Copies("us", ours)
        found = []
        for _ in range(MIN_RETURNS + 1):
            copies.receive("us", other)
            found.append(copies.must_make_way(other))
        assert found == [False] * MIN_RETURNS + [makes_way]


def test_who_does_not_say_which_run_it_is_is_left_alone():
    copies = Copies("us", OURS)
    assert not any(copies.receive("far", run) for run in (Run(), OTHER, Run(), OTHER, Run()))


def test_what_is_not_held_is_forgotten():
    copies = Copies("us", OURS)
    for run in (OTHER, THIRD):
        copies.receive("far", run)
    copies.forget_but({"near": None})
    assert not copies.receive("far", OTHER)
