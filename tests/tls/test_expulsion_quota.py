"""No authority can fill what everybody keeps, nor keep those above it from being heard."""

import pytest

from tests.tls.test_expulsion import expel, let_in, root
from tests.tls.test_expulsion_list import granted
from van.tls import expulsion_quota
from van.tls.expulsion_list import ExpulsionList
from van.tls.expulsion_quota import (
    MAX_BELOW,
    MAX_BELOW_GRANTED,
    MAX_BELOW_ROOT,
    MAX_OF_AUTHORITY,
)
from van.wire.expulsion import MAX_EXPULSIONS

__all__ = ["root"]


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    for name, value in (
        ("MAX_OF_AUTHORITY", 2),
        ("MAX_BELOW", 3),
        ("MAX_BELOW_GRANTED", 6),
        ("MAX_BELOW_ROOT", 8),
        ("MAX_EXPULSIONS", 9),
    ):
        monkeypatch.setattr(expulsion_quota, name, value)


def takes(known, by, count):
    """Return how many of some statements by an authority are taken in."""
    victims = [let_in(by, f"s{number}") for number in range(count)]
    return sum(known.add(expel(by, each)) is not None for each in victims)


def test_an_authority_below_the_root_can_not_fill_the_list(root):
    west = let_in(root, "west").authority
    known = ExpulsionList(root.root)
    assert takes(known, west, 3) == 2
    assert takes(known, root, 1) == 1


def test_those_that_an_authority_makes_count_together_and_not_as_its_own(root):
    west = let_in(root, "west").authority
    known = ExpulsionList(root.root)
    made = [let_in(west, f"made{number}").authority for number in range(3)]
    deeper = let_in(made[0], "deeper").authority
    assert [takes(known, each, 2) for each in (deeper, *made)] == [2, 1, 0, 0]
    assert takes(known, west, 3) == 2, "it can expel them nevertheless"
    assert takes(known, let_in(root, "east").authority, 2) == 2


def test_one_authority_can_not_use_up_what_is_below_a_second_root(root):
    second = granted(root, "second").authority
    known = ExpulsionList(root.root)
    west = let_in(second, "west").authority
    made = [let_in(west, f"made{number}").authority for number in range(3)]
    assert sum(takes(known, each, 2) for each in (west, *made)) == 5
    assert takes(known, let_in(second, "east").authority, 2) == 1
    assert takes(known, second, 2) == 2


def test_the_root_is_heard_when_nobody_else_is_any_more(root):
    known = ExpulsionList(root.root)
    authorities = [let_in(root, f"west{number}").authority for number in range(5)]
    assert sum(takes(known, each, 2) for each in authorities) == 8
    assert takes(known, root, 2) == 1


def test_the_real_limits_leave_room():
    assert MAX_OF_AUTHORITY + MAX_BELOW < MAX_BELOW_GRANTED
    assert MAX_OF_AUTHORITY + MAX_BELOW_GRANTED < MAX_BELOW_ROOT < MAX_EXPULSIONS
