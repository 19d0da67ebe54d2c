"""`van network`: the map of the network, and the paths from any site of it."""

from typing import Annotated

import typer

from van.cli.completion import complete_known_site
from van.cli.options import Json, Site, open_client, print_json
from van.cli.render.humanize import format_round_trip
from van.cli.render.printing import print_sections
from van.cli.render.tables import BAD, MUTED, WARN, Cell, Section
from van.control.values import Network, NetworkLink, NetworkSite
from van.names import check_site_name


def network(
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SITE",
            help="Show the paths from this site instead of the own one.",
            autocompletion=complete_known_site,
            show_default=False,
        ),
    ] = None,
    dot: Annotated[
        bool, typer.Option("--dot", help="Print a graph for Graphviz: ... --dot | dot -Tsvg")
    ] = False,
    json: Json = False,
    site: Site = None,
) -> None:
    """Show the map: sites and links, and who is reached by what path."""
    if dot and json:
        raise typer.BadParameter("--json and --dot are two forms of the same: choose one")
    client = open_client(site)
    found = client.network(None if source is None else check_site_name(source))
    if json:
        print_json(found)
    elif dot:
        from van.cli.render.graphviz import graph

        typer.echo(graph(found))
    else:
        print_sections([sites_section(found), links_section(found.links)])


def sites_section(network: Network) -> Section:
    """Return the sites, and the path to each."""
    return Section(
        f"Sites, as seen from {network.source}",
        ("SITE", "COST", "HOPS", "PATH", "DETAIL"),
        [
            (
                Cell(each.site),
                _number(each.cost),
                _number(each.hops),
                _path(each),
                Cell("" if each.is_transit else "no transit", MUTED),
            )
            for each in network.sites
        ],
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
                _number(each.cost),
                _number(each.cost_back if each.cost_back != each.cost else None),
                Cell(
                    "" if each.round_trip_ms is None else format_round_trip(each.round_trip_ms),
                    is_number=True,
                ),
                _one_way(each),
            )
            for each in links
        ],
        "no links: 'van link create' on one site, 'van link accept' on the other",
    )


def _one_way(link: NetworkLink) -> Cell:
    if link.is_two_way:
        return Cell("")
    silent = link.site if link.cost is None else link.neighbor
    return Cell(f"one-way, so not used: {silent} does not advertise it", WARN)


def _number(value: int | None) -> Cell:
    return Cell("" if value is None else str(value), is_number=True)
