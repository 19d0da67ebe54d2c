"""`van help` and `van version`: what a newcomer types first."""

from typing import Annotated, Any

import typer

from van import __version__
from van.cli.completion import complete_command


def show_help(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND",
            help="The command, such as: link create.",
            autocompletion=complete_command,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show what a command does, as its --help does."""
    at: Any = ctx.find_root()
    for word in words or ():
        command = getattr(at.command, "commands", {}).get(word)
        if command is None:
            ctx.fail(f"there is no command 'van {' '.join(words or ())}': 'van help' lists all")
        at = type(at)(command, info_name=word, parent=at)
    typer.echo(at.command.get_help(at))


def version() -> None:
    """Print the version."""
    typer.echo(f"van {__version__}")
