"""`van demo`: three sites on this machine, and a web server reached by name through two links.

The story is told by real commands, each in a process of its own, and leaves nothing behind.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from van.errors import SiteExists, VanError

if TYPE_CHECKING:
    from van.cli.demo.script import Stage

ADDRESS = "web:8080"
EXPIRY = "10m"


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the three sites running.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Remove what --keep left.")] = False,
) -> None:
    """See three sites on this machine reach a web server."""
    from van.cli.demo.script import Stage

    stage = Stage()
    if stop:
        removed = stage.clear()
        typer.echo("the demo is removed" if removed else "there is no demo to remove")
        return
    if found := stage.find_sites():
        raise SiteExists(
            f"site {found[0]!r} exists already: 'van demo --stop' removes an earlier demo"
        )
    try:
        _tell(stage)
    except BaseException as exc:
        _end_badly(stage, exc)
        raise
    if keep:
        _say_what_to_try(stage)
    else:
        stage.title("Clean up")
        stage.clear()
        typer.echo(f"\ndone in {stage.elapsed():.1f} s; nothing is left behind")


def _tell(stage: "Stage") -> None:
    """Set everything up and fetch the page; raise `VanError` when a step fails."""
    west, hub, east = stage.sites
    stage.prepare()

    stage.title(f"Three sites, each with a router of its own; only {hub} can be dialled")
    stage.van("init", hub, "--listen", f"127.0.0.1:{stage.free_port()}")
    stage.van("init", west)
    stage.van("init", east)

    stage.title(f"{hub} invites the two others, and they dial it over mutual TLS")
    for site in (west, east):
        token = str(stage.directory / f"{site}.token")
        stage.van("link", "create", token, "--expires", EXPIRY, "--site", hub)
        stage.van("link", "accept", token, "--site", site)

    stage.title(f"A web server near {east} gets a name")
    target = stage.start_web_server()
    stage.van("expose", "tcp", ADDRESS, "--target", target, "--site", east)

    stage.title(f"A local port near {west} leads to that name")
    listen = f"127.0.0.1:{stage.free_port()}"
    stage.van("bind", "tcp", ADDRESS, "--listen", listen, "--site", west)

    stage.title(f"A program near {west} fetches the page, through {hub}, which can't read it")
    stage.fetch(f"http://{listen}/")

    stage.title(f"What {west} knows")
    stage.van("status", "--site", west)


def _end_badly(stage: "Stage", exc: BaseException) -> None:
    """Take everything down after a failure or Ctrl-C; the exception then goes on."""
    if isinstance(exc, VanError):
        stage.show_logs()
    stage.title("Clean up")
    stage.clear()


def _say_what_to_try(stage: "Stage") -> None:
    west, hub, east = stage.sites
    stage.title("Still running; try")
    for line in (
        f"curl {stage.url}",
        f"van status --site {hub}",
        f"van status --watch --site {east}",
        f"van down --site {hub}",
        f"van up --site {hub}",
        "van demo --stop",
    ):
        typer.echo(f"   {line}")
    typer.echo(f"\nset up in {stage.elapsed():.1f} s; {west} is where programs connect")
