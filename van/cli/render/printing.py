"""Prints tables: in colour and as wide as the screen on a terminal, as aligned text in a pipe."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence

import typer

from van.cli.render.layout import Line, lay_out, text_of
from van.cli.render.tables import TITLE, Section


def print_sections(sections: Sequence[Section]) -> None:
    """Print sections in the way that suits where standard output goes."""
    lines = lay_out(sections, screen_width())
    typer.echo("\n".join(paint(lines) if is_terminal() else map(text_of, lines)))


def is_terminal() -> bool:
    """Tell whether standard output is a terminal that can do more than print lines."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def screen_width() -> int | None:
    """Return how many columns there are; None where nobody says so, as in a pipe."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size().columns
    return None


def paint(lines: Iterable[Line]) -> Iterable[str]:
    """Yield lines with the colours of their tones."""
    for line in lines:
        yield "".join(tint(span.text, span.tone) for span in line)


def tint(text: str, tone: str) -> str:
    """Return a text in the colour of a tone, unless NO_COLOR is set."""
    if not tone or os.environ.get("NO_COLOR"):
        return text
    return typer.style(text, bold=True) if tone == TITLE else typer.style(text, fg=tone)
