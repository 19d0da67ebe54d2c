"""Tables for people, and how they look as plain text.

A `Section` says what is shown; the terminal's look is in `van.cli.render.drawing`. Text may come
from other sites, so it is printed as text always: no markup, no control characters.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Self

import attrs

from van.cli.render.humanize import printable

GOOD: Final = "green"
WARN: Final = "yellow"
BAD: Final = "red"
MUTED: Final = "bright_black"
PLAIN: Final = ""
"""Tones of a cell, as colours of a terminal's palette."""


@attrs.frozen
class Cell:
    """What stands in one place of a table; numbers are aligned to the right."""

    text: str = attrs.field(converter=printable)
    tone: str = PLAIN
    is_number: bool = False


def numeric(value: int | str | None) -> Cell:
    """Return a cell that is aligned as a number; an empty one for what is not known."""
    return Cell("" if value is None else str(value), is_number=True)


@attrs.frozen
class Section:
    """A titled table; without headings, its rows are pairs of a name and what it is."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    empty: str = ""
    """What to say when there are no rows."""
    note: str = ""
    """What to say below the rows."""

    def without_blank_columns(self) -> Self:
        """Return the same section without the columns that hold nothing."""
        kept = [index for index, _ in enumerate(self.headings) if self._is_used(index)]
        if len(kept) == len(self.headings):
            return self
        return attrs.evolve(
            self,
            headings=tuple(self.headings[index] for index in kept),
            rows=[tuple(row[index] for index in kept) for row in self.rows],
        )

    def _is_used(self, column: int) -> bool:
        return any(row[column].text for row in self.rows)


def plain_text(sections: Iterable[Section]) -> str:
    """Return sections as aligned lines, without colour, boxes, or spaces at the end."""
    return "\n\n".join("\n".join(_plain_lines(section)) for section in sections)


def _plain_lines(section: Section) -> list[str]:
    if not section.rows:
        return [section.title, f"  {section.empty}"]
    section = section.without_blank_columns()
    header = [tuple(map(Cell, section.headings))] if section.headings else []
    rows = [*header, *section.rows]
    widths = [max(len(cell.text) for cell in column) for column in zip(*rows, strict=True)]
    lines = [section.title]
    for row in rows:
        texts = map(_align, row, widths, section.rows[0])
        lines.append(f"  {'  '.join(texts)}".rstrip())
    return [*lines, f"  {section.note}"] if section.note else lines


def _align(cell: Cell, width: int, column: Cell) -> str:
    return cell.text.rjust(width) if column.is_number else cell.text.ljust(width)
