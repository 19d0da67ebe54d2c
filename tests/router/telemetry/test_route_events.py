"""What a new forwarding table is to a person who follows the events."""

from tests.router.tables import line, make_fib
from van.router.telemetry.events import EventLog
from van.router.telemetry.route_events import MAX_TOLD, RouteEvents
from van.routing.actions import AdvertisementDropped


def told(before, after):
    """Return the events of a change from one table to another."""
    log = EventLog()
    RouteEvents("west", log).fib_changed(after, before)
    return [(each.kind.value, each.subject, each.text) for each in log.after(0)]


def alone():
    return make_fib("west", {"west": {}})


def test_sites_that_come_are_told_with_the_way_to_them():
    assert told(alone(), make_fib("west", line("west", "hub", "east"))) == [
        ("site-reached", "east", "by hub, cost 2"),
        ("site-reached", "hub", "by its link, cost 1"),
    ]


def test_sites_and_addresses_that_go_are_told():
    before = make_fib("west", line("west", "hub"), services={"hub": ["db:1"]})
    assert told(before, alone()) == [
        ("site-lost", "hub", "no path leads to it"),
        ("address-lost", "tcp db:1", "at hub no more, and nowhere else"),
    ]


def test_another_way_is_told_with_the_one_before():
    before = make_fib("west", line("west", "hub"))
    after = make_fib("west", line("west", "hub", cost=5))
    assert told(before, after) == [
        ("route-changed", "hub", "by its link, cost 5; before that, by its link, cost 1")
    ]


def test_where_else_an_address_is_served_is_told():
    links = line("west", "hub", "east")
    one = make_fib("west", links, services={"hub": ["db:1"]})
    two = make_fib("west", links, services={"hub": ["db:1"], "east": ["db:1"]})
    assert told(one, two) == [("address-served", "tcp db:1", "at east, and at hub")]
    assert told(two, one) == [("address-lost", "tcp db:1", "at east no more, and at hub")]


def test_a_change_of_a_thousand_sites_is_told_in_a_few_events():
    names = [f"s{number:03}" for number in range(999)]
    star = {"west": {"s000": 1}, "s000": dict.fromkeys(["west", *names[1:]], 1)}
    star |= {name: {"s000": 1} for name in names[1:]}
    events = told(alone(), make_fib("west", star, services={each: ["db:1"] for each in names}))
    for kind in ("site-reached", "address-served"):
        texts = [text for found, _, text in events if found == kind]
        assert len(texts) == MAX_TOLD + 1
        assert texts[-1] == f"and {999 - MAX_TOLD} more"


def test_as_many_as_fit_are_told_one_by_one():
    names = ["west", *(f"s{number}" for number in range(MAX_TOLD + 1))]
    subjects = [subject for _, subject, _ in told(alone(), make_fib("west", line(*names)))]
    assert subjects == names[1:]


def test_drops_are_told_once():
    log = EventLog()
    events = RouteEvents("west", log)
    for _ in range(9):
        events.advertisement_dropped(AdvertisementDropped("hub", "east", "forged", "why"))
    assert [(each.kind.value, each.subject) for each in log.after(0)] == [
        ("advertisement-dropped", "hub")
    ]


def test_an_incarnation_that_was_lost_is_told():
    log = EventLog()
    RouteEvents("west", log).incarnation_advanced(8)
    assert [(each.kind.value, each.subject) for each in log.after(0)] == [
        ("incarnation-advanced", "west")
    ]
