"""The map of the network as a site knows it: sites, links, and the paths from any of them."""

from collections.abc import Mapping

from van.control.values.network import Network, NetworkLink, NetworkSite
from van.errors import NotFound
from van.routing.paths.fib import Fib
from van.routing.paths.spf import Route, shortest_paths
from van.wire.lsa import Adjacency


def network_map(fib: Fib, source: str) -> Network:
    """Return the network with the paths from a site of it; raise `NotFound` if there is none."""
    check_known(fib, source)
    routes = routes_from(fib, source)
    return Network(
        source=source,
        sites=tuple(_site(fib, site, routes.get(site)) for site in sorted(known_sites(fib))),
        links=_links(fib.adjacencies),
    )


def known_sites(fib: Fib) -> set[str]:
    """Return every site that is known, whether a path leads to it or not."""
    return {*fib.sites, *fib.routes}


def check_known(fib: Fib, site: str) -> None:
    """Raise `NotFound` unless a site is known."""
    if site not in known_sites(fib):
        raise NotFound(f"site {site!r} is not known here: 'van network' lists those that are")


def routes_from(fib: Fib, source: str) -> Mapping[str, Route]:
    """Return the routes of a site, its own from the table and another's as it should have them."""
    return fib.routes if source == fib.site else shortest_paths(fib.graph(), source)


def _site(fib: Fib, name: str, route: Route | None) -> NetworkSite:
    return NetworkSite(
        site=name,
        cost=route.cost if route else None,
        hops=route.hops if route else None,
        path=route.path if route else None,
        is_transit=name not in fib.no_transit,
    )


def _links(adjacencies: Mapping[str, tuple[Adjacency, ...]]) -> tuple[NetworkLink, ...]:
    advertised = {
        (site, each.neighbor): each for site, links in adjacencies.items() for each in links
    }
    pairs = sorted({(min(pair), max(pair)) for pair in advertised})
    return tuple(
        _link(site, neighbor, advertised.get((site, neighbor)), advertised.get((neighbor, site)))
        for site, neighbor in pairs
    )


def _link(site: str, neighbor: str, there: Adjacency | None, back: Adjacency | None) -> NetworkLink:
    # Both ends measure the same way there and back; the first of them to know speaks.
    micros = next((each.round_trip for each in (there, back) if each and each.round_trip), None)
    return NetworkLink(
        site=site,
        neighbor=neighbor,
        cost=there.cost if there else None,
        cost_back=back.cost if back else None,
        round_trip_ms=None if micros is None else micros / 1000,
        is_two_way=there is not None and back is not None,
    )
