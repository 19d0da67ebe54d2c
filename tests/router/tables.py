"""Forwarding tables for tests, made from links and services as sites would advertise them."""

import attrs

from van.router.telemetry.topology import routes_from
from van.routing.paths.fib import FibBuilder
from van.wire.lsa import AddressesBody, Adjacency, Service


def make_fib(site, links, *, services=None, round_trips=None):
    """Return the table of a site. Links map each site to its neighbours' costs; services map a site
    to its addresses, and round trips a pair to microseconds."""
    times = round_trips or {}
    adjacencies = {
        origin: tuple(
            Adjacency(neighbor, cost, times.get((origin, neighbor), 0))
            for neighbor, cost in found.items()
        )
        for origin, found in links.items()
    }
    addresses = {
        origin: AddressesBody(tuple(Service(each, "tcp") for each in found), ())
        for origin, found in (services or {}).items()
    }
    known = {origin: tuple(sorted(found)) for origin, found in links.items()}
    nobodys = attrs.evolve(FibBuilder("").build({}, {}, {}), adjacencies=adjacencies, sites=known)
    routed = FibBuilder(site).build(routes_from(nobodys, site), {}, addresses)
    return attrs.evolve(routed, adjacencies=adjacencies, sites=known)


def line(*names, cost=1):
    """Return the links of sites in a row, all of one cost."""
    return {
        name: {names[at]: cost for at in (place - 1, place + 1) if 0 <= at < len(names)}
        for place, name in enumerate(names)
    }
