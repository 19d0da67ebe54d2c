"""The map of the network as tables."""

from van.cli.render.humanize import format_round_trip
from van.cli.render.tables import BAD, MUTED, WARN, Cell, Section, numeric
from van.control.values.network import Network, NetworkLink, NetworkSite


def sites_section(network: Network) -> Section:
    """Return the sites, and the path to each."""
    return Section(
        f"Sites, as seen from {network.source}",
        ("SITE", "COST", "HOPS", "PATH", "DETAIL"),
        [
            (
                Cell(each.site),
                numeric(each.cost),
                numeric(each.hops),
                _path(each),
                Cell("" if each.is_transit else "no transit", MUTED),
            )
            for each in network.sites
        ],
        folds=("DETAIL", "HOPS", "COST"),
    )


def _path(site: NetworkSite) -> Cell:
    if site.path is None:
        return Cell("unreachable", BAD)
    if len(site.path) == 1:
        return Cell("(from here)", MUTED)
    return Cell(" > ".join(site.path))


def links_section(links: tuple[NetworkLink, ...]) -> Section:
    """Return the links; a cost back is shown where it differs."""
    return Section(
        "Links",
        ("SITE", "NEIGHBOUR", "COST", "COST BACK", "RTT", "DETAIL"),
        [
            (
                Cell(each.site),
                Cell(each.neighbor),
                numeric(each.cost),
                numeric(each.cost_back if each.cost_back != each.cost else None),
                numeric(
                    "" if each.round_trip_ms is None else format_round_trip(each.round_trip_ms)
                ),
                _one_way(each),
            )
            for each in links
        ],
        "no links: 'van link create' on one site, 'van link accept' on the other",
        folds=("COST BACK", "RTT", "COST"),
    )


def _round_trip(milliseconds: float | None) -> Cell:
    return numeric(None if milliseconds is None else format_round_trip(milliseconds))


def _one_way(link: NetworkLink) -> Cell:
    if link.is_two_way:
        return Cell("")
    silent = link.site if link.cost is None else link.neighbor
    return Cell(f"one-way, so not used: {silent} does not advertise it", WARN)
