from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.routing.balance import Outstanding, rank

DB = ("tcp", "db:5432")
counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 5))


def test_local_site_comes_first():
    ranked = rank(
        ["far", "us", "near"], costs={"us": 0, "near": 1, "far": 5}, outstanding={}, rng=Random(1)
    )
    assert ranked == ["us", "near", "far"]


def test_busy_site_loses_to_one_a_little_further():
    ranked = rank(
        ["near", "far"], costs={"near": 1, "far": 3}, outstanding={"near": 3}, rng=Random(1)
    )
    assert ranked == ["far", "near"]


def test_site_that_can_not_be_reached_is_left_out():
    assert rank(["gone", "b"], costs={"b": 1}, outstanding={}, rng=Random(1)) == ["b"]


def test_ties_are_broken_both_ways():
    rng = Random(1)
    firsts = Counter(
        rank(["a", "b"], costs={"a": 1, "b": 1}, outstanding={}, rng=rng)[0] for _ in range(200)
    )
    assert min(firsts["a"], firsts["b"]) > 60


@given(costs=counts, outstanding=counts, seed=st.integers())
def test_ranking_orders_all_that_has_a_cost(costs, outstanding, seed):
    ranked = rank("abcdef", costs=costs, outstanding=outstanding, rng=Random(seed))
    assert sorted(ranked) == sorted(costs)
    scores = [costs[site] + outstanding.get(site, 0) for site in ranked]
    assert scores == sorted(scores)


def test_flows_spread_over_equal_instances():
    outstanding, rng = Outstanding(), Random(2)
    for _ in range(30):
        best, *_ = rank(
            "abc", costs=dict.fromkeys("abc", 1), outstanding=outstanding.at(DB), rng=rng
        )
        outstanding.add(DB, best)
    assert outstanding.at(DB) == {"a": 10, "b": 10, "c": 10}


def test_ended_flows_are_forgotten():
    outstanding = Outstanding()
    outstanding.add(DB, "a")
    outstanding.add(DB, "a")
    outstanding.remove(DB, "a")
    assert outstanding.at(DB) == {"a": 1}
    outstanding.remove(DB, "a")
    assert outstanding.at(DB) == {}
    with pytest.raises(KeyError):
        outstanding.remove(DB, "a")


def test_addresses_are_counted_apart():
    outstanding = Outstanding()
    outstanding.add(DB, "a")
    assert outstanding.at(("udp", "db:5432")) == {}
