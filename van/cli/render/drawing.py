"""How sections look on a terminal. Imported only where a table is drawn, for rich is large."""

from collections.abc import Iterable

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from van.cli.render.tables import MUTED, Cell, Section

INDENT = (0, 0, 1, 2)
"""Padding of what stands under a title: two columns to the left, a line below."""


def make_console() -> Console:
    """Return a console that adds nothing of its own to what it is given."""
    return Console(markup=False, emoji=False, highlight=False)


def draw(sections: Iterable[Section]) -> RenderableType:
    """Return sections for a console."""
    return Group(*(part for section in sections for part in _draw_section(section)))


def _draw_section(section: Section) -> list[RenderableType]:
    title = Text(section.title, style="bold")
    if not section.rows:
        return [title, Padding(Text(section.empty, style=MUTED), INDENT)]
    body: list[RenderableType] = [_draw_table(section.without_blank_columns())]
    if section.note:
        body.append(Text(section.note, style=MUTED))
    return [title, Padding(Group(*body), INDENT)]


def _draw_table(section: Section) -> Table:
    table = Table(
        box=None,
        show_header=bool(section.headings),
        header_style=MUTED,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    names = section.headings or tuple("" for _ in section.rows[0])
    last = len(names) - 1
    for index, (name, cell) in enumerate(zip(names, section.rows[0], strict=True)):
        # Only the last column wraps, which holds the long texts; names stay whole.
        justify: JustifyMethod = "right" if cell.is_number else "left"
        table.add_column(Text(name), justify=justify, overflow="fold", no_wrap=index < last)
    for row in section.rows:
        texts = [_draw_cell(cell) for cell in row]
        if not section.headings:
            texts[0].stylize(MUTED)
        table.add_row(*texts)
    return table


def _draw_cell(cell: Cell) -> Text:
    return Text(cell.text, style=cell.tone)
