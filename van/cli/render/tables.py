"""Tables for people: what is shown, without how.

How wide its columns are is in `van.cli.render.layout`. Text may come from other sites, so it is
printed as text always: no markup, no control characters.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Self

import attrs

from van.cli.render.humanize import printable

GOOD: Final = "green"
WARN: Final = "yellow"
BAD: Final = "red"
MUTED: Final = "bright_black"
TITLE: Final = "bold"
PLAIN: Final = ""
"""Tones of a text: colours of a terminal's palette, but for a title's."""


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
    folds: tuple[str, ...] = ()
    """Columns that are left out where all do not fit, the first of these first. The name and the
    reason are none of them."""
    tone: str = TITLE
    """Of the title."""

    def without_blank_columns(self) -> Self:
        """Return the same section without the columns that hold nothing."""
        blank = [name for index, name in enumerate(self.headings) if not _is_used(self.rows, index)]
        return self.without(blank)

    def without(self, names: Iterable[str]) -> Self:
        """Return the same section without some of its columns."""
        left_out = set(names)
        if not left_out:
            return self
        kept = [index for index, name in enumerate(self.headings) if name not in left_out]
        return attrs.evolve(
            self,
            headings=tuple(self.headings[index] for index in kept),
            rows=[tuple(row[index] for index in kept) for row in self.rows],
        )


def _is_used(rows: Sequence[tuple[Cell, ...]], column: int) -> bool:
    return any(row[column].text for row in rows)
