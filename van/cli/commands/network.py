"""`van network`: the map of the network, and the paths from any site of it."""

from typing import Annotated

import typer

from van.cli.completion import complete_known_site
from van.cli.options import Json, Site, open_client, print_json
from van.cli.render.printing import print_sections
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
        from van.cli.render.network import links_section, sites_section

        print_sections([sites_section(found), links_section(found.links)])
