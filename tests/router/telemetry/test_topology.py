"""The map, from what sites advertise."""

import attrs
import pytest

from tests.router.tables import line, make_fib
from van.control.values.network import NetworkLink
from van.errors import NotFound
from van.router.telemetry.topology import network_map

LINE = line("west", "hub", "east", cost=2)


def paths(fib, source):
    return {each.site: each.path for each in network_map(fib, source).sites}


def test_each_site_has_the_path_from_this_one():
    found = network_map(make_fib("west", LINE), "west")
    assert [(each.site, each.cost, each.hops, each.path) for each in found.sites] == [
        ("east", 4, 2, ("west", "hub", "east")),
        ("hub", 2, 1, ("west", "hub")),
        ("west", 0, 0, ("west",)),
    ]


def test_another_source_has_the_paths_that_it_works_out_itself():
    links = line("west", "hub", "east") | {"far": {"east": 1}}
    links["east"] = links["east"] | {"far": 1}
    for source in links:
        assert paths(make_fib("west", links), source) == paths(make_fib(source, links), source)


def test_a_site_without_a_path_is_on_the_map():
    fib = make_fib("west", LINE | {"moon": {}})
    assert paths(fib, "west")["moon"] is None
    assert paths(fib, "moon") == {"moon": ("moon",), "west": None, "hub": None, "east": None}


def test_a_site_that_declines_transit_is_marked_and_on_no_path_to_others():
    fib = attrs.evolve(make_fib("west", LINE), no_transit=frozenset({"hub"}))
    found = network_map(fib, "east")
    assert [each.site for each in found.sites if not each.is_transit] == ["hub"]
    assert paths(fib, "east") == {"east": ("east",), "hub": ("east", "hub"), "west": None}


def test_a_pair_of_neighbours_is_one_link_with_a_cost_for_each_direction():
    links = {"hub": {"west": 3}, "west": {"hub": 5}}
    fib = make_fib("west", links, round_trips={("west", "hub"): 1500})
    assert network_map(fib, "west").links == (
        NetworkLink(
            site="hub", neighbor="west", cost=3, cost_back=5, round_trip_ms=1.5, is_two_way=True
        ),
    )


@pytest.mark.parametrize(
    ("links", "costs"), [({"hub": {"west": 3}}, (3, None)), ({"west": {"hub": 3}}, (None, 3))]
)
def test_a_link_that_one_end_advertises_is_one_way_and_on_no_path(links, costs):
    fib = make_fib("west", {"west": {}, "hub": {}} | links)
    (link,) = network_map(fib, "west").links
    assert (link.site, link.neighbor) == ("hub", "west")
    assert (link.cost, link.cost_back) == costs
    assert not link.is_two_way
    assert paths(fib, "west")["hub"] is None


def test_a_source_that_is_not_known_is_an_error():
    with pytest.raises(NotFound, match="site 'mars' is not known"):
        network_map(make_fib("west", LINE), "mars")
