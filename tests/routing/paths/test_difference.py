from hypothesis import given
from hypothesis import strategies as st

from van.routing.paths.difference import (
    BestRoute,
    RouteChange,
    ServiceChange,
    route_changes,
    service_changes,
)
from van.routing.paths.fib import FibBuilder
from van.routing.paths.spf import Route
from van.wire.lsa import AddressesBody, Service

NAMES = "abcde"
ways = st.dictionaries(
    st.sampled_from(NAMES[1:]), st.tuples(st.sampled_from(NAMES[1:]), st.integers(1, 3))
)
served = st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(["db:1", "web:2"])))


def table(found, services=None):
    """Return the table of site a, from a next hop and a cost for each other site."""
    routes = {"a": Route(cost=0, next_hops=(), hops=0, path=("a",))} | {
        site: Route(cost=cost, next_hops=(hop,), hops=1, path=("a", site))
        for site, (hop, cost) in found.items()
    }
    addresses = {
        site: AddressesBody(tuple(Service(each, "tcp") for each in sorted(names)), ())
        for site, names in (services or {}).items()
    }
    return FibBuilder("a").build(routes, {}, addresses)


def test_a_site_that_is_reached_lost_or_reached_otherwise_is_a_change():
    before = table({"b": ("b", 1), "c": ("b", 2), "d": ("b", 2)})
    after = table({"b": ("b", 1), "c": ("b", 3), "e": ("b", 2)})
    assert list(route_changes(before, after)) == [
        RouteChange("c", BestRoute("b", 2), BestRoute("b", 3)),
        RouteChange("d", BestRoute("b", 2), None),
        RouteChange("e", None, BestRoute("b", 2)),
    ]


def test_another_next_hop_at_the_same_cost_is_a_change():
    changes = list(route_changes(table({"d": ("b", 2)}), table({"d": ("c", 2)})))
    assert changes == [RouteChange("d", BestRoute("b", 2), BestRoute("c", 2))]


@given(ways, ways)
def test_the_changes_make_the_new_routes_out_of_the_old(before, after):
    routes = {site: BestRoute(*way) for site, way in before.items()}
    for change in route_changes(table(before), table(after)):
        assert routes.get(change.site) == change.before
        assert change.before != change.after
        if change.after is None:
            del routes[change.site]
        else:
            routes[change.site] = change.after
    assert routes == {site: BestRoute(*way) for site, way in after.items()}


@given(served, served)
def test_the_changes_make_the_new_services_out_of_the_old(before, after):
    reached = dict.fromkeys(NAMES[1:], ("b", 1))
    old, new = table(reached, before), table(reached, after)
    pairs = {(service, site) for service, sites in old.services.items() for site in sites}
    for change in service_changes(old, new):
        pair = (change.service, change.site)
        assert (pair in pairs) != change.is_served
        pairs ^= {pair}
    assert pairs == {(service, site) for service, sites in new.services.items() for site in sites}


def test_what_a_lost_site_served_is_served_no_more():
    services = {"b": {"db:1"}}
    changes = list(service_changes(table({"b": ("b", 1)}, services), table({}, services)))
    assert changes == [ServiceChange(("tcp", "db:1"), "b", is_served=False)]


def test_equal_tables_do_not_differ():
    services = {"b": {"db:1"}}
    one, other = table({"b": ("b", 1)}, services), table({"b": ("b", 1)}, services)
    assert not list(route_changes(one, other))
    assert not list(service_changes(one, other))
