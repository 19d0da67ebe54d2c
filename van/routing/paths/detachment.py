"""What the network would lose if a site passed nothing on."""

from collections.abc import Iterator

import attrs

from van.routing.paths.spf import Graph


def sites_cut_off(graph: Graph, site: str) -> list[str]:
    """Return the sites that some neighbour of a site can reach only through it, by name.

    The site itself is not among them: a path may end there in any case.
    """
    without = attrs.evolve(graph, no_transit=frozenset({*graph.no_transit, site}))
    # A neighbour reaches what it does without the site, and all that the site does.
    through = _reach(graph, site)
    cut_off: set[str] = set()
    seen: set[str] = set()
    for neighbor in _neighbors(graph, site):
        # Whom a neighbour reaches that passes things on, reaches through it as much as it does.
        if neighbor not in seen:
            reached = _reach(without, neighbor)
            cut_off |= through - reached
            if neighbor not in without.no_transit:
                seen |= reached
    return sorted(cut_off)


def sites_lost(graph: Graph, source: str, site: str) -> list[str]:
    """Return the sites that one site reaches no more when another is gone, by name, but for that
    itself."""
    links = {name: each for name, each in graph.links.items() if name != site}
    return sorted(_reach(graph, source) - _reach(attrs.evolve(graph, links=links), source) - {site})


def _reach(graph: Graph, source: str) -> set[str]:
    """Return the sites to which a path leads, the source included, whatever it costs."""
    reached, waiting = {source}, [source]
    while waiting:
        site = waiting.pop()
        if site not in graph.no_transit or site == source:
            new = {each for each in _neighbors(graph, site) if each not in reached}
            reached |= new
            waiting += new
    return reached


def _neighbors(graph: Graph, site: str) -> Iterator[str]:
    return (each for each in graph.links.get(site, ()) if graph.is_two_way(site, each))
