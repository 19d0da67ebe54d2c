"""The `van` command: its table of commands, and how errors end it."""

import sys
from typing import Annotated, Final

import typer

from van import __version__
from van.cli.commands import (
    bind,
    events,
    explain,
    expose,
    flows,
    init,
    link,
    network,
    router,
    services,
    site,
    status,
    token,
    trace,
    up,
)
from van.cli.demo import demo
from van.cli.options import Site
from van.cli.render.humanize import printable
from van.errors import VanError

EXIT_ERROR: Final = 1
EXIT_INTERRUPTED: Final = 130
"""What a shell makes of a program that Ctrl-C ended."""

app = typer.Typer(
    name="van",
    no_args_is_help=True,
    # Plain help starts in a third of the time, and pipes as it shows.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def main() -> None:
    """Run the command line and exit: 0, 1 with one line on standard error, 2 for wrong usage."""
    try:
        app(prog_name="van")
    except VanError as exc:
        lines = str(exc).splitlines()
        print("van: " + "\n".join(map(printable, lines)), file=sys.stderr)
        sys.exit(EXIT_ERROR)
    except OSError as exc:
        # The machine's trouble where no command looks for it, such as a directory that is closed.
        where = f"can't use {exc.filename}: " if exc.filename else ""
        print("van: " + printable(where + (exc.strerror or str(exc)).lower()), file=sys.stderr)
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"van {__version__}")
        raise typer.Exit


@app.callback()
def options(
    site: Site = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Programs reach each other by name, wherever they run.

    A router for each site, links between sites, and addresses such as db:5432 that are the same
    everywhere. Start with 'van demo', or 'van init NAME'.
    """


app.command()(init.init)
app.command()(up.up)
app.command()(up.down)
app.command()(status.status)
app.command()(network.network)
app.command()(trace.trace)
app.command()(explain.explain)
app.command()(events.events)
app.command()(expose.expose)
app.command()(bind.bind)
app.command()(expose.unexpose)
app.command()(bind.unbind)
app.command()(flows.flows)
app.command("services")(services.list_services)
app.add_typer(link.app, name="link")
app.add_typer(token.app, name="token")
app.add_typer(site.app, name="site")
app.command()(router.router)
app.command()(demo.demo)
