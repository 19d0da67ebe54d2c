"""What differs between two forwarding tables, for those who tell people of it."""

from collections.abc import Iterator

import attrs

from van.routing.paths.fib import Fib
from van.routing.paths.service_index import ServiceKey


@attrs.frozen
class BestRoute:
    """How a site is reached: by which neighbour, and at what cost."""

    next_hop: str
    cost: int


@attrs.frozen
class RouteChange:
    """A site whose way is another one now; None stands for no way at all."""

    site: str
    before: BestRoute | None
    after: BestRoute | None


@attrs.frozen
class ServiceChange:
    """A site that began or ceased to serve an address, as far as it can be reached."""

    service: ServiceKey
    site: str
    is_served: bool


def route_changes(previous: Fib, fib: Fib) -> Iterator[RouteChange]:
    """Yield the sites that are reached, lost, or reached in another way, in order of name."""
    if fib.routes is previous.routes:
        return
    for site in sorted({*previous.routes, *fib.routes}):
        before, after = _way(previous, site), _way(fib, site)
        if before != after:
            yield RouteChange(site, before, after)


def service_changes(previous: Fib, fib: Fib) -> Iterator[ServiceChange]:
    """Yield where addresses are served now or no longer, in order of protocol and address."""
    old, new = previous.services, fib.services
    # There may be tens of thousands of them, of which most tables change a few.
    changed = [service for service, sites in new.items() if old.get(service) != sites]
    changed += [service for service in old if service not in new]
    for service in sorted(changed):
        before, after = old.get(service, ()), new.get(service, ())
        for site in sorted(set(before) ^ set(after)):
            yield ServiceChange(service, site, is_served=site in after)


def _way(fib: Fib, site: str) -> BestRoute | None:
    """Return the way to another site; to our own there is none to speak of."""
    next_hop = fib.next_hop(site)
    return None if next_hop is None else BestRoute(next_hop, fib.routes[site].cost)
