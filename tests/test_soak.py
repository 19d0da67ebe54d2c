"""What the soak calls growth, and what its census finds."""

import random

import attrs

from benchmarks.soak.__main__ import Counts, report
from benchmarks.soak.census import Census, containers
from benchmarks.soak.flows import Tally
from van.balancing.balancer import Balancer
from van.balancing.estimate import SiteRecord


def census(resident, **objects):
    return Census(resident, 0, 10, 1, objects, {})


def counts(*censuses):
    found = Counts()
    for number, each in enumerate(censuses):
        found.flows.append(1000 * number)
        found.minutes.append(float(number))
        for site in found.censuses.values():
            site.append(each)
    return found


def test_what_becomes_more_from_each_rest_to_the_next_is_told_with_its_slope(capsys):
    steady = counts(*(census(50_000_000, thing=100 + number % 2) for number in range(4)))
    assert report(Tally(), steady) == 0
    growing = counts(*(census(50_000_000, thing=100 + 20 * number) for number in range(4)))
    assert report(Tally(), growing) == 1
    assert "| west: thing |" in (told := capsys.readouterr().out)
    assert "+20.0" in told


def test_what_is_named_may_grow():
    named = counts(*(census(50_000_000, EventLog=100 + 20 * number) for number in range(4)))
    assert report(Tally(), named) == 0


def test_what_came_otherwise_than_it_was_sent_is_an_error():
    tally = Tally()
    tally.spoilt["bulk"] += 1
    assert report(tally, counts(census(1), census(1))) == 1


def test_a_census_finds_containers_wherever_they_are():
    @attrs.define
    class Holder:
        inner: object

    Holder.__module__ = "van.somewhere"
    balancer = Balancer(random.Random(1))
    balancer._states["tcp", "a:1"] = {"west": SiteRecord(), "east": SiteRecord()}
    found = containers([Holder([Holder(balancer)])])
    assert found["Balancer._states"] == 1
    assert found["Balancer._states[]"] == 2
