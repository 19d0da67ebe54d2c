"""`van site`: the sites of this machine."""

import sys
from typing import Annotated, Final

import typer

from van.cli.completion import complete_site
from van.cli.help import Command, Group
from van.cli.options import Json, Site, open_client, print_json, print_outcome
from van.cli.process import holds_lock, stop_router
from van.cli.render.printing import print_sections
from van.cli.render.sites import LocalSite, local_sites_section
from van.control.client import ControlClient
from van.control.values.maintenance import DrainSpec
from van.errors import LocalError, RouterDown, RouterRunning, SiteMissing, VanError
from van.names import check_site_name
from van.paths import list_sites, site_paths
from van.sites import delete_site_files

app = typer.Typer(help="The sites of this machine.", cls=Group, no_args_is_help=True)

QUICK: Final = 2.0
"""Longest wait in seconds for each router that a list asks."""


@app.command("list", cls=Command)
def list_all(json: Json = False) -> None:
    """List the sites, and whether their routers run."""
    found = [_describe(site) for site in list_sites()]
    if json:
        print_json(found)
    else:
        print_sections([local_sites_section(found)])


def _describe(site: str) -> LocalSite:
    config = str(site_paths(site).config_file)
    try:
        status = ControlClient(site, timeout=QUICK).status()
    except RouterDown:
        return LocalSite(site=site, router="down", van=None, config=config)
    except VanError:
        return LocalSite(site=site, router="no answer", van=None, config=config)
    return LocalSite(site=site, router="running", van=status.router.van, config=config)


@app.command(cls=Command)
def delete(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The site.", autocompletion=complete_site)
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Stop the router first, by any means.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete a site of this machine, with its keys."""
    paths = site_paths(check_site_name(name))
    if not paths.state_dir.exists() and not paths.config_dir.exists():
        raise SiteMissing(f"site {name!r} is not set up here: 'van site list' says what is")
    if holds_lock(name) and not force:
        raise RouterRunning(
            f"router of site {name!r} is running: stop it with 'van down --site {name}' first, "
            "or use --force"
        )
    if not yes and not _confirm(f"delete site {name!r} with its keys, for good?"):
        raise LocalError(f"site {name!r} is not deleted, as nobody has said yes")
    stop_router(name, force=force)
    delete_site_files(paths)
    typer.echo(f"site {name!r} is deleted")


def _confirm(question: str) -> bool:
    """Ask a person for a yes; Ctrl-C raises `KeyboardInterrupt`."""
    typer.echo(f"{question} [y/N]: ", nl=False)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@app.command(cls=Command)
def drain(
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Leave to others what the site serves, too."),
    ] = False,
    site: Site = None,
) -> None:
    """Let nothing be sent through a site, before maintenance.

    What is under way goes on, and the site's own flows too; other sites find other paths. It
    lasts until 'van site undrain'.
    """
    client = open_client(site)
    print_outcome(f"site {client.site!r}", client.drain(DrainSpec(serve=serve)))


@app.command(cls=Command)
def undrain(site: Site = None) -> None:
    """Let others send through a site again."""
    client = open_client(site)
    print_outcome(f"site {client.site!r}", client.undrain())
