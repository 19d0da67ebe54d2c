"""Prints tables: drawn in colour on a terminal, as aligned text in a pipe."""

import os
import sys
from collections.abc import Sequence

import typer

from van.cli.render.tables import Section, plain_text


def print_sections(sections: Sequence[Section]) -> None:
    """Print sections in the way that suits where standard output goes."""
    if is_terminal():
        from van.cli.render.drawing import draw, make_console

        make_console().print(draw(sections))
    else:
        typer.echo(plain_text(sections))


def is_terminal() -> bool:
    """Tell whether standard output is a terminal that can do more than print lines."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
