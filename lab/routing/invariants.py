"""What must be true of a network once it is quiet."""

import gc
from collections.abc import Iterable
from itertools import pairwise
from random import Random
from types import BuiltinFunctionType, FunctionType, ModuleType

from lab.routing.authority import Authority
from lab.routing.fabric import Fabric
from lab.routing.truth import Truth
from van.routing.engine.engine import Engine


def check_all(network: Fabric) -> None:
    """Check every invariant."""
    truth = Truth(network)
    for component in truth.components():
        check_databases_agree(network, component)
        for site in component:
            check_routes(network, truth, site)
            check_neighbors(network, truth, site)
            check_forwarding(network, site)
            assert network.engine(site).fib.services == truth.services_at(site), site


def check_databases_agree(network: Fabric, component: Iterable[str]) -> None:
    """Check that all hold the same versions of the same advertisements."""
    first, *others = component
    for other in others:
        assert network.engine(other).held() == network.engine(first).held(), (first, other)


def check_routes(network: Fabric, truth: Truth, site: str) -> None:
    """Check that exactly what is connected is reached, at least cost, by all next hops that are on
    a best path."""
    routes = network.engine(site).fib.routes
    costs = truth.costs_from(site)
    assert {name: route.cost for name, route in routes.items()} == costs, site
    through = truth.costs_through(site)
    for name, route in routes.items():
        assert route.hops == len(route.path) - 1
        assert sum(truth.links[a][b] for a, b in pairwise(route.path)) == route.cost
        if name != site:
            number = truth.index[name]
            best = {hop for hop, offered in through.items() if offered[number] == route.cost}
            assert set(route.next_hops) == best, (site, name)


def check_neighbors(network: Fabric, truth: Truth, site: str) -> None:
    """Check that the table shows what each site that can be reached believes to be its neighbours,
    and no other."""
    fib = network.engine(site).fib
    for name in fib.routes:
        links = network.sites[name].links
        claimed = {other for other, link in links.items() if link.is_half_open(name)}
        assert set(fib.sites[name]) == truth.links[name].keys() | claimed, (site, name)


def check_forwarding(network: Fabric, site: str) -> None:
    """Check that whichever next hop is taken, one comes nearer: hop by hop one arrives."""
    for destination, route in network.engine(site).fib.routes.items():
        for hop in route.next_hops:
            assert network.engine(hop).fib.routes[destination].cost < route.cost


def check_forgotten(network: Fabric, gone: str) -> None:
    """Check that nothing in the memory of any engine that runs speaks of a site that is gone."""
    for name, site in network.sites.items():
        if site.is_running:
            found = [each for each in reachable_text(site.engine) if gone.encode() in each]
            assert not found, (name, found)


def reachable_text(engine: Engine) -> Iterable[bytes]:
    """Yield every string and byte string that an engine keeps alive, but for its keyring's."""
    seen: set[int] = set()
    waiting: list[object] = [engine]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, _SHARED):
            continue
        seen.add(id(each))
        if isinstance(each, str):
            yield each.encode()
        elif isinstance(each, bytes):
            yield each
        else:
            if isinstance(each, dict):
                waiting.extend(each)  # the collector passes over keys that are text
            waiting.extend(gc.get_referents(each))


_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, Authority, Random)
"""What belongs to no engine alone."""
