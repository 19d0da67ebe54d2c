"""How tables are laid out on a screen of some width: which columns, how wide, and what wraps.

Nothing is ever cut off. Where all does not fit, lists and reasons wrap between words; then columns
fold, the least important first, and a line below says which; then reasons go below their rows.
Names are broken last of all, and headings where a screen has no room for anything.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from van.cli.render.tables import MUTED, PLAIN, Cell, Section

INDENT: Final = 2
"""Columns to the left of what stands under a title."""
GAP: Final = 2
"""Columns between two columns of a table."""
LEGIBLE: Final = 26
"""Columns that a text gets before others fold for it: narrower ones are hard to read."""
REASONS: Final = (("DETAIL",), ("WHY",))
"""Headings of the last column where it says why."""
NARROWEST: Final = 4
"""Columns that remain of a name on a screen that has no room for anything."""


@attrs.frozen
class Span:
    """A piece of a line, and its tone."""

    text: str
    tone: str = PLAIN


Line = tuple[Span, ...]


def lay_out(sections: Iterable[Section], width: int | None = None) -> list[Line]:
    """Return sections as lines of at most so many columns; without a width, of as many as it takes.

    No line ends with a space.
    """
    lines: list[Line] = []
    for section in sections:
        if lines:
            lines.append(())
        lines += _section_lines(section, width)
    return lines


def plain_text(sections: Iterable[Section], width: int | None = None) -> str:
    """Return sections as text without colours."""
    return "\n".join(text_of(line) for line in lay_out(sections, width))


def text_of(line: Line) -> str:
    """Return a line without its colours."""
    return "".join(span.text for span in line)


def wrap(text: str, width: int | None) -> list[str]:
    """Return a text on lines of at most so many columns, broken between words where that goes."""
    if width is None or width_of(text) <= width:
        return [text]
    lines = [""]
    for word in text.split(" "):
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if width_of(line) <= width:
            lines[-1] = line
            continue
        pieces = _pieces(word, width)
        lines[-1:] = [lines[-1], *pieces] if lines[-1] else pieces
    return lines


def width_of(text: str) -> int:
    """Return how many columns a text takes on a screen."""
    if text.isascii():
        return len(text)
    return sum(_width_of_character(each) for each in text)


def _width_of_character(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _pieces(word: str, width: int) -> list[str]:
    """Return a word that is too long for a line in pieces that are not."""
    pieces = [""]
    for character in word:
        if pieces[-1] and width_of(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


# -- sections ----------------------------------------------------------------------------------


def _section_lines(section: Section, width: int | None) -> Iterator[Line]:
    for text in wrap(section.title, width):
        yield (Span(text, section.tone),)
    if not section.rows:
        if section.empty:
            yield from _remark(section.empty, width)
        return
    room = None if width is None else width - INDENT
    shown, widths, folded = _fit(section.without_blank_columns(), room)
    if shown.headings:
        header = [Cell(name, MUTED) for name in shown.headings[: len(widths)]]
        yield from _row_lines(header, widths, shown.rows[0])
    for row in shown.rows:
        cells = row if shown.headings else (attrs.evolve(row[0], tone=MUTED), *row[1:])
        yield from _row_lines(cells, widths, shown.rows[0])
        for below in row[len(widths) :]:
            yield from _reason_lines(below, width)
    if section.note:
        yield from _remark(section.note, width)
    if folded:
        yield from _remark(f"a wider screen also shows {', '.join(folded)}", width)


def _remark(text: str, width: int | None) -> Iterator[Line]:
    for line in wrap(text, None if width is None else max(1, width - INDENT)):
        yield (Span(" " * INDENT), Span(line, MUTED))


def _reason_lines(reason: Cell, width: int | None) -> Iterator[Line]:
    margin = INDENT + GAP
    if reason.text:
        for line in wrap(reason.text, None if width is None else max(1, width - margin)):
            yield (Span(" " * margin), Span(line, reason.tone))


def _row_lines(cells: Sequence[Cell], widths: list[int], first: Sequence[Cell]) -> Iterator[Line]:
    """Yield the lines of a row: one, unless a cell wraps. Cells without a width are left out."""
    wrapped = [wrap(cell.text, width) for cell, width in zip(cells, widths, strict=False)]
    for number in range(max(map(len, wrapped))):
        texts = [lines[number] if number < len(lines) else "" for lines in wrapped]
        spans: list[Span] = []
        column = at = 0
        for cell, text, width, kind in zip(cells, texts, widths, first, strict=False):
            column += INDENT if not spans and not column else GAP
            if text:
                begin = column + (width - width_of(text) if kind.is_number else 0)
                spans += [Span(" " * (begin - at)), Span(text, cell.tone)]
                at = begin + width_of(text)
            column += width
        yield tuple(spans)


# -- columns -----------------------------------------------------------------------------------


def _fit(section: Section, room: int | None) -> tuple[Section, list[int], list[str]]:
    """Return a section with the columns that fit, their widths, and the names of the others.

    Without a width for the last column, it is to be shown below each row.
    """
    folded: list[str] = []
    folds = [name for name in section.folds if name in section.headings]
    while True:
        natural = _natural_widths(section)
        if room is None or _total(natural) <= room:
            return section, natural, folded
        least = _least_widths(section, natural)
        if _total(least) <= room:
            return section, _widen(least, natural, room), folded
        if not folds:
            break
        folded.append(folds.pop(0))
        section = section.without(folded[-1:])
    if section.headings[-1:] in REASONS:
        least.pop()
    headings = section.headings or [""] * len(least)
    return section, _widen(_squeeze(least, headings, room), natural, room), folded


def _total(widths: list[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _natural_widths(section: Section) -> list[int]:
    """Return the widths with which nothing wraps."""
    return [max(map(width_of, column)) for column in _columns(section)]


def _least_widths(section: Section, natural: list[int]) -> list[int]:
    """Return the widths below which columns would rather fold: no word is broken, none crowded."""
    found = []
    for index, column in enumerate(_columns(section)):
        words = (word for text in column[1:] for word in text.split(" "))
        longest = max([width_of(column[0]), *map(width_of, words)])
        found.append(natural[index] if not index else max(longest, min(natural[index], LEGIBLE)))
    return found


def _columns(section: Section) -> list[list[str]]:
    """Return the texts of each column, its heading first."""
    headings = section.headings or ("",) * len(section.rows[0])
    return [
        [name, *(row[index].text for row in section.rows)] for index, name in enumerate(headings)
    ]


def _widen(widths: list[int], natural: list[int], room: int) -> list[int]:
    """Return widths that take all the room there is: what is narrowest is widened first."""
    found = list(widths)
    for _ in range(room - _total(widths)):
        wanting = [index for index, width in enumerate(found) if width < natural[index]]
        if wanting:
            found[min(wanting, key=found.__getitem__)] += 1
    return found


def _squeeze(widths: list[int], headings: Sequence[str], room: int) -> list[int]:
    """Return widths that fit: what is widest is narrowed first, and headings stay whole if any."""
    found = list(widths)
    for floors in ([width_of(name) for name in headings], [NARROWEST] * len(found)):
        while _total(found) > room:
            wide = [index for index, width in enumerate(found) if width > floors[index]]
            if not wide:
                break
            found[max(wide, key=found.__getitem__)] -= 1
    return found
