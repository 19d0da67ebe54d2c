"""The `van` command: its table of commands, and how errors end it."""

import sys
from collections.abc import Callable
from typing import Annotated, Final

import typer

from van import __version__
from van.cli.commands import (
    audit,
    authority,
    bind,
    events,
    explain,
    expose,
    flows,
    init,
    learn,
    link,
    logs,
    network,
    policy,
    router,
    services,
    site,
    status,
    token,
    trace,
    up,
)
from van.cli.demo import demo
from van.cli.help import (
    LEARNING,
    LINKING,
    LOOKING,
    REACHING,
    RUNNING,
    Command,
    Group,
)
from van.cli.options import Site
from van.cli.render.humanize import printable
from van.errors import InvalidValue, VanError

EXIT_ERROR: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
"""What a shell makes of a program that Ctrl-C ended."""

app = typer.Typer(
    name="van",
    cls=Group,
    no_args_is_help=True,
    # Plain help starts in a third of the time, and pipes as it shows.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def main() -> None:
    """Run the command line and exit: 0, 1 with one line on standard error, 2 for wrong usage, and
    130 after Ctrl-C."""
    try:
        PROGRAM(prog_name="van")
    except VanError as exc:
        lines = str(exc).splitlines()
        print("van: " + "\n".join(map(printable, lines)), file=sys.stderr)
        sys.exit(EXIT_USAGE if isinstance(exc, InvalidValue) else EXIT_ERROR)
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


def register(
    group: str, name: str, function: Callable[..., None], help_text: str | None = None
) -> None:
    """Have a function as a command in one of the groups."""
    app.command(name, cls=Command, rich_help_panel=group, help=help_text)(function)


register(RUNNING, "init", init.init)
register(RUNNING, "up", up.up)
register(RUNNING, "down", up.down)
register(RUNNING, "restart", up.restart)
register(RUNNING, "router", router.router)
app.add_typer(site.app, name="site", rich_help_panel=RUNNING)
register(RUNNING, "ps", site.list_all, "The same as 'van site list'.")
app.add_typer(link.app, name="link", rich_help_panel=LINKING)
app.add_typer(token.app, name="token", rich_help_panel=LINKING)
app.add_typer(authority.app, name="authority", rich_help_panel=LINKING)
app.add_typer(policy.app, name="policy", rich_help_panel=LINKING)
register(REACHING, "expose", expose.expose)
register(REACHING, "unexpose", expose.unexpose)
register(REACHING, "bind", bind.bind)
register(REACHING, "unbind", bind.unbind)
register(LOOKING, "status", status.status)
register(LOOKING, "services", services.list_services)
register(LOOKING, "ls", services.list_services, "The same as 'van services'.")
register(LOOKING, "flows", flows.flows)
register(LOOKING, "explain", explain.explain)
register(LOOKING, "trace", trace.trace)
register(LOOKING, "network", network.network)
register(LOOKING, "events", events.events)
register(LOOKING, "audit", audit.audit)
register(LOOKING, "logs", logs.logs)
register(LEARNING, "demo", demo.demo)
register(LEARNING, "help", learn.show_help)
register(LEARNING, "version", learn.version)

PROGRAM: Final = typer.main.get_command(app)
"""What `main` runs: made of the table once, however many command lines a process runs."""
