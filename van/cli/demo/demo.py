"""`van demo`: three sites on this machine, and a web server reached by name through two links.

The story is told by real commands, each in a process of its own, and leaves nothing behind.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from van.errors import SiteExists, VanError

if TYPE_CHECKING:
    from van.cli.demo.script import DemoScript

ADDRESS = "web:8080"
EXPIRY = "10m"


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the three sites running.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Remove what --keep left.")] = False,
) -> None:
    """See three sites on this machine reach a web server."""
    from van.cli.demo.script import DemoScript

    script = DemoScript()
    if stop:
        removed = script.clear()
        typer.echo("the demo is removed" if removed else "there is no demo to remove")
        return
    if found := script.find_sites():
        raise SiteExists(
            f"site {found[0]!r} exists already: 'van demo --stop' removes an earlier demo"
        )
    try:
        _tell(script)
    except BaseException as exc:
        _end_badly(script, exc)
        raise
    if keep:
        _say_what_to_try(script)
    else:
        script.title("Clean up")
        script.clear()
        typer.echo(f"\ndone in {script.elapsed():.1f} s; nothing is left behind")


def _tell(script: "DemoScript") -> None:
    """Set everything up and fetch the page; raise `VanError` when a step fails."""
    west, hub, east = script.sites
    script.prepare()

    script.title(f"Three sites, each with a router of its own; only {hub} can be dialled")
    script.van("init", hub, "--listen", f"127.0.0.1:{script.free_port()}")
    script.van("init", west)
    script.van("init", east)

    script.title(f"{hub} invites the two others, and they dial it over mutual TLS")
    for site in (west, east):
        token = str(script.directory / f"{site}.token")
        script.van("link", "create", token, "--expires", EXPIRY, "--site", hub)
        script.van("link", "accept", token, "--site", site)

    script.title(f"A web server near {east} gets a name")
    target = script.start_web_server()
    script.van("expose", "tcp", ADDRESS, "--target", target, "--site", east)

    script.title(f"A local port near {west} leads to that name")
    listen = f"127.0.0.1:{script.free_port()}"
    script.van("bind", "tcp", ADDRESS, "--listen", listen, "--site", west)

    script.title(f"A program near {west} fetches the page, through {hub}, which can't read it")
    script.fetch(f"http://{listen}/")

    script.title(f"What {west} knows")
    script.van("status", "--site", west)


def _end_badly(script: "DemoScript", exc: BaseException) -> None:
    """Take everything down after a failure or Ctrl-C; the exception then goes on."""
    if isinstance(exc, VanError):
        script.show_logs()
    script.title("Clean up")
    script.clear()


def _say_what_to_try(script: "DemoScript") -> None:
    west, hub, east = script.sites
    script.title("Still running; try")
    for line in (
        f"curl {script.url}",
        f"van status --site {hub}",
        f"van status --watch --site {east}",
        f"van down --site {hub}",
        f"van up --site {hub}",
        "van demo --stop",
    ):
        typer.echo(f"   {line}")
    typer.echo(f"\nset up in {script.elapsed():.1f} s; {west} is where programs connect")
