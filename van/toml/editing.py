"""Changes to a text of TOML that leave everything else in it as it is, byte for byte.

Tables are found, added, and taken away by their lines; keys within one table are changed by
tomlkit. The whole text is not given to tomlkit: it moves tables of one name together where others
stand between them, and takes the comment above a table for a part of the table before.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tomli_w

from van.toml.layout import Block, Layout, find_comments

Values = Mapping[str, Any]
"""Keys of a table with what TOML may say of them."""


def encode_block(header: str, values: Values) -> str:
    """Return a table as a block, such as `[[link]]` and its keys on a line each."""
    return f"{header}\n{tomli_w.dumps(values)}"


class Editor:
    """A text of TOML that is being changed; what is new in it ends lines as the first one does."""

    def __init__(self, text: str) -> None:
        self.text = text
        end = text.find("\n")
        self.newline = "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"

    def has_block(self, name: str) -> bool:
        """Tell whether there is a block of that name."""
        return bool(Layout(self.text).find(name))

    def append_block(self, header: str, values: Values) -> None:
        """Add a table after all others, with an empty line before it."""
        self._end_line()
        if self.text and not _ends_with_empty_line(self.text):
            self.text += self.newline
        self.text += encode_block(header, values).replace("\n", self.newline)

    def remove_block(self, name: str, index: int) -> None:
        """Take the lines of the table of that name and index away.

        Comments on lines of their own stay, those above it and those between its keys alike.
        """
        block = Layout(self.text).find(name)[index]
        kept = "".join(_lines_between(self.text, block))
        before, after = self.text[: block.start], self.text[block.end :]
        if not kept and _ends_with_empty_line(before):
            after = _without_empty_lines(after)
            if not after:
                before = before.removesuffix("\n").removesuffix("\r")
        self.text = before + kept + after

    def change_block(self, name: str, index: int, values: Mapping[str, Any | None]) -> None:
        """Set keys of the table of that name and index, and remove those whose value is None.

        A comment whose line goes, or that is in the midst of a list that is replaced, goes to a
        line above the table.
        """
        block = Layout(self.text).find(name)[index]
        old = self.text[block.start : block.end]
        new = _change_keys(old, values, self.newline)
        lost = find_comments(old)
        for comment in find_comments(new):
            lost.remove(comment)
        above = "".join(comment + self.newline for comment in lost)
        self.text = self.text[: block.start] + above + new + self.text[block.end :]

    def unfold(self, name: str, header: str, tables: Iterable[Values]) -> None:
        """Write tables that stand there as `name = [{…}]`, or `name.key = …`, as blocks at the end.

        Comments on the lines that go stand above them. A text without such lines stays as it is.
        """
        folded = Layout(self.text).find_folded(name)
        if not folded:
            return
        comments: list[str] = []
        for part in reversed(folded):
            comments[:0] = find_comments(self.text[part.start : part.end])
            self.text = self.text[: part.start] + self.text[part.end :]
        if comments:
            self._end_line()
            self.text += "".join(comment + self.newline for comment in comments)
        for values in tables:
            self.append_block(header, values)

    def _end_line(self) -> None:
        if self.text and not self.text.endswith("\n"):
            self.text += self.newline


def _change_keys(block: str, values: Mapping[str, Any | None], newline: str) -> str:
    """Change the keys of the one table that a text has."""
    import tomlkit  # noqa: PLC0415 - 40 ms that only the first change of a key is to pay
    from tomlkit.items import AoT, Table  # noqa: PLC0415 - likewise

    if not block.endswith("\n"):
        block += newline
    document = tomlkit.parse(block)
    (table,) = document.values()
    if isinstance(table, AoT):
        (table,) = table
    assert isinstance(table, Table)
    for key, value in values.items():
        if value is None:
            table.remove(key)
        elif key in table:
            table[key] = value
        else:
            item = tomlkit.item(value)
            item.trivia.trail = newline
            table.append(key, item)
    return tomlkit.dumps(document)


def _lines_between(text: str, block: Block) -> Iterator[str]:
    """Yield the comments between a block's statements, with the ends of their lines."""
    end = block.header_end
    for each in block.statements:
        lines = text[end : each.start].splitlines(keepends=True)
        yield from (line for line in lines if line.strip())
        end = each.end


def _ends_with_empty_line(text: str) -> bool:
    return text.endswith(("\n\n", "\n\r\n"))


def _without_empty_lines(text: str) -> str:
    """Return a text without the empty lines that it begins with."""
    return re.sub(r"\A(?:[ \t]*\r?\n)+", "", text)
