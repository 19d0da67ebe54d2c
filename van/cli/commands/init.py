"""`van init`: a site is made on this machine."""

from typing import Annotated

import typer

from van.cli.process import start_router
from van.config import SiteConfig, save_config
from van.errors import SiteExists
from van.files import make_private_directory
from van.names import Endpoint, check_site_name
from van.paths import SitePaths, site_paths


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the site: a DNS label.")],
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Open the link port here, for others to dial."),
    ] = None,
    advertise: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where others should dial instead, as seen from outside; may be repeated.",
        ),
    ] = None,
    no_transit: Annotated[
        bool,
        typer.Option(
            "--no-transit", help="Let nothing be sent through this site: for a laptop, say."
        ),
    ] = False,
    no_start: Annotated[bool, typer.Option("--no-start", help="Don't start the router.")] = False,
) -> None:
    """Make a site, a network of its own, and start its router."""
    check_site_name(name)
    if advertise and listen is None:
        raise typer.BadParameter("needs --listen too", param_hint="--advertise")
    config = SiteConfig(
        listen=None if listen is None else Endpoint.parse(listen),
        advertise=tuple(Endpoint.parse(text) for text in advertise or ()),
        transit=not no_transit,
    )
    paths = site_paths(name)
    if paths.identity_file.exists():
        raise SiteExists(
            f"site {name!r} exists already: choose another name, or remove it with "
            f"'van site delete {name}'"
        )
    _create(name, paths, config)
    typer.echo(f"site {name!r} is set up: edit {paths.config_file} to change how it listens")
    if not no_start:
        status = start_router(name)
        from van.cli.render.status import router_line

        typer.echo(f"router of site {name!r} is running: {router_line(status.router)}")


def _create(name: str, paths: SitePaths, config: SiteConfig) -> None:
    """Write a site's files; the keys come last, for they make it a site."""
    from van.tls.credentials import Credentials

    paths.control_socket  # noqa: B018 - raises early when the path is too long for a socket
    make_private_directory(paths.config_dir)
    make_private_directory(paths.state_dir)
    save_config(paths.config_file, config)
    Credentials.create(name).save(paths.identity_file)
