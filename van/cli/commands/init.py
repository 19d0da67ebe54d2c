"""`van init`: a site is made on this machine."""

from typing import Annotated

import typer

from van.cli.options import check_certificate_life
from van.cli.process import start_router
from van.config import SiteConfig
from van.names import Endpoint, check_site_name
from van.paths import site_paths
from van.sites import create_site, delete_site_files


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
    certificate_life: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long certificates are good, which are renewed before: 1h, 7d.",
            show_default="7d",
        ),
    ] = None,
    no_start: Annotated[bool, typer.Option("--no-start", help="Don't start the router.")] = False,
) -> None:
    """Make a site, a network of its own, and start its router.

    When the router can't start, the site is not made.
    """
    check_site_name(name)
    if advertise and listen is None:
        raise typer.BadParameter("needs --listen too", param_hint="--advertise")
    config = SiteConfig(
        listen=None if listen is None else Endpoint.parse(listen),
        advertise=tuple(Endpoint.parse(text) for text in advertise or ()),
        transit=not no_transit,
    )
    paths = site_paths(name)
    life = None if certificate_life is None else check_certificate_life(certificate_life)
    create_site(name, paths, config, certificate_life=life)
    said = f"site {name!r} is set up: edit {paths.config_file} to change how it listens"
    if no_start:
        typer.echo(said)
        return
    try:
        status = start_router(name)
    except BaseException:
        # Nobody has seen its keys, and a second try finds the name free.
        delete_site_files(paths)
        raise
    from van.cli.render.status import router_line

    typer.echo(f"{said}\nrouter of site {name!r} is running: {router_line(status.router)}")
