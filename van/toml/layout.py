"""Where in a text of TOML each thing is written: its tables, their keys, and the comments.

It reads texts that the TOML parser has taken, and knows only as much of the language as is needed
to tell statements apart: strings, brackets, comments, and ends of lines.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

import attrs

_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)
"""What may hide, or is, an end of a statement; everything else is passed over."""
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_KEY: Final = re.compile(r"""(?:[^="']|"(?:[^"\\]|\\.)*"|'[^']*')+""")
"""The key before an equals sign, which may be quoted and dotted."""


@attrs.frozen
class Statement:
    """A key with its value, over one line or more; from the start of its first to its end."""

    path: tuple[str, ...]
    """The parts of the key."""
    start: int
    end: int


@attrs.define
class Block:
    """A header and the statements under it; the root has no header."""

    path: tuple[str, ...]
    """The parts of the header's name; empty for the root."""
    start: int
    """Where the line of the header starts."""
    header_end: int
    """Where the line after it starts."""
    statements: list[Statement] = attrs.field(factory=list)

    @property
    def end(self) -> int:
        """Return where the line after its last statement starts."""
        return self.statements[-1].end if self.statements else self.header_end


class Layout:
    """The blocks of a text, in its order; the first is the root."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.blocks = [Block((), 0, 0)]
        for start, end in _logical_lines(text):
            self._add(start, end)

    def find(self, name: str) -> list[Block]:
        """Return the blocks under headers of that name."""
        return [block for block in self.blocks[1:] if block.path == (name,)]

    def find_folded(self, name: str) -> list[Statement]:
        """Return what is said of a table outside of blocks: as `name = …`, or `name.key = …`."""
        return [each for each in self.blocks[0].statements if each.path[0] == name]

    def find_line(self, table: str, index: int, key: str | None) -> int:
        """Return the line of a key in the table of that name and index, or that of its header.

        The root table has an empty name. It is 1 when the text does not say it in one place.
        """
        start = self._find(table, index, key)
        starts = [0, *(match.end() for match in re.finditer("\n", self.text))]
        return 1 if start is None else bisect_right(starts, start)

    def _find(self, table: str, index: int, key: str | None) -> int | None:
        if not table:
            root = [(each.path[0], each.start) for each in self.blocks[0].statements]
            headers = [(each.path[0], each.start) for each in self.blocks[1:]]
            return next((start for name, start in (*root, *headers) if name == key), None)
        blocks = self.find(table)
        if index < len(blocks):
            block = blocks[index]
            of_key = (each.start for each in block.statements if each.path[0] == key)
            return next(of_key, block.start)
        folded = self.find_folded(table)
        dotted = (each.start for each in folded if each.path[1:2] == (key,))
        return next(dotted, self._find_inline(folded[0], index) if folded else None)

    def _find_inline(self, statement: Statement, index: int) -> int:
        """Return where the table of that index begins in `name = [{…}, …]`."""
        depth = count = 0
        for token in _TOKEN.finditer(self.text, statement.start, statement.end):
            depth += (token[0] in "[{") - (token[0] in "]}")
            if token[0] == "{" and depth == 2:
                if count == index:
                    return token.start()
                count += 1
        return statement.start

    def _add(self, start: int, end: int) -> None:
        line = self.text[start:end].lstrip()
        if line.startswith("["):
            name = line.lstrip("[").split("\n")[0]
            self.blocks.append(Block(_parse_key(_until_bracket(name)), start, end))
        elif line and not line.startswith("#"):
            key = _KEY.match(line)
            path = _parse_key(key[0]) if key else ()
            self.blocks[-1].statements.append(Statement(path, start, end))


def find_comments(text: str) -> list[str]:
    """Return the comments of a text."""
    return [each[0].rstrip() for each in _TOKEN.finditer(text) if each[0].startswith("#")]


def _logical_lines(text: str) -> Iterator[tuple[int, int]]:
    """Yield from where to where each line goes; brackets hold lines together."""
    start, depth = 0, 0
    for token in _TOKEN.finditer(text):
        what = token[0]
        if what in "[{":
            depth += 1
        elif what in "]}":
            depth -= 1
        elif what == "\n" and depth == 0:
            yield start, token.end()
            start = token.end()
    if text[start:].strip():
        yield start, len(text)


def _until_bracket(name: str) -> str:
    """Return the name of a header, of which a quoted part may hold a bracket too."""
    match = re.match(r"""(?:[^\]"']|"(?:[^"\\]|\\.)*"|'[^']*')+""", name)
    return match[0] if match else ""


def _parse_key(text: str) -> tuple[str, ...]:
    """Return the parts of a key, which may be quoted and dotted."""
    text = text.strip()
    if _BARE.fullmatch(text):
        return (text,)
    path: list[str] = []
    value: object = tomllib.loads(f"{text} = 0")
    while isinstance(value, dict):
        ((part, value),) = value.items()
        path.append(part)
    return tuple(path)
