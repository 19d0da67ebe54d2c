"""TOML that people edit: tables that say on which line they are wrong, and what would be right.

A reader takes the keys that it knows from a `Table` and then calls `finish`, which refuses the
rest. Every mistake is a `ConfigError` that begins with FILE:LINE.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from van.errors import ConfigError, InvalidName

T = TypeVar("T")

_HEADER: Final = re.compile(r"\s*\[\[?\s*[\"']?([\w-]+)")
_KEY: Final = re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*[.=]")
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@attrs.frozen
class Source:
    """The text of a file, to say where in it something is."""

    path: Path
    text: str = attrs.field(repr=False)

    def error(self, line: int, message: str) -> ConfigError:
        """Return the error to raise for a line."""
        return ConfigError(f"{self.path}:{line}: {message}")

    def find_line(self, table: str, index: int, key: str | None) -> int:
        """Return the line of a key in the table of that name and index, or that of its header.

        The root table has an empty name. It is 1 when the text is laid out in a way that hides the
        place, such as a table inside a table.
        """
        found, current, count = 1, "", 0
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := _HEADER.match(line):
                current = header[1]
                if not table and current == key:
                    return number
                count += current == table
                if current == table and count == index + 1:
                    found = number
            elif pair := _KEY.match(line):
                in_table = current == table and (not table or count == index + 1)
                if in_table and pair[1] == key:
                    return number
                if not current and pair[1] == table:
                    found = number
        return found


@attrs.define
class Table:
    """A table that is being read; keys are taken from it one by one."""

    source: Source
    name: str
    """How the table is written in the file, such as `[router]`; empty for the root."""
    index: int
    """Which of the tables of this name it is, from 0."""
    _values: dict[str, Any]
    _known: list[str] = attrs.field(factory=list)

    def error(self, key: str | None, message: str) -> ConfigError:
        """Return the error to raise for a key, or for the table as a whole."""
        line = self.source.find_line(self.name.strip("[]"), self.index, key)
        return self.source.error(line, message)

    def read_text(self, key: str, parse: Callable[[str], T], *, example: str) -> T | None:
        """Take a text and parse it; None when the key is not there."""
        value = self._take(key)
        return None if value is None else self._parse(key, value, parse, example)

    def require_text(self, key: str, parse: Callable[[str], T], *, example: str) -> T:
        """Take a text that must be there."""
        value = self.read_text(key, parse, example=example)
        if value is None:
            raise self.error(None, f'{self.name} has no {key}: add {key} = "{example}"')
        return value

    def read_texts(self, key: str, parse: Callable[[str], T], *, example: str) -> tuple[T, ...]:
        """Take a list of texts; it is empty when the key is not there."""
        values = self._take(key)
        if values is None:
            return ()
        if not isinstance(values, list):
            raise self.error(key, f'{key} is not a list: write {key} = ["{example}"]')
        return tuple(self._parse(key, value, parse, example) for value in values)

    def read_number(
        self, key: str, *, low: int, high: int, default: int, words: Mapping[str, int] | None = None
    ) -> int:
        """Take an integer between two limits, which are valid themselves, or one of some words."""
        value = self._take(key)
        if value is None:
            return default
        if type(value) is int and low <= value <= high:
            return value
        words = words or {}
        if isinstance(value, str) and value in words:
            return words[value]
        also = "".join(f', or "{word}"' for word in words)
        raise self.error(
            key, f"{key} {value!r} is not valid: use a number from {low} to {high}{also}"
        )

    def read_seconds(self, key: str, *, low: float, high: float, default: float) -> float:
        """Take a number of seconds between two limits, which are valid themselves."""
        value = self._take(key)
        if value is None:
            return default
        if type(value) in {int, float} and low <= value <= high:
            return float(value)
        raise self.error(
            key, f"{key} {value!r} is not valid: use a number from {low:g} to {high:g}"
        )

    def read_flag(self, key: str, *, default: bool) -> bool:
        """Take a truth value."""
        value = self._take(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        raise self.error(key, f"{key} {value!r} is not valid: use true or false")

    def read_table(self, key: str) -> "Table":
        """Take a table; it is empty when it is not there."""
        value = self._take(key)
        if not isinstance(value, dict | None):
            raise self.error(key, f"{key} is not a table: write it under [{key}]")
        return Table(self.source, f"[{key}]", 0, value or {})

    def read_tables(self, key: str) -> list["Table"]:
        """Take a list of tables."""
        values = self._take(key)
        if values is None:
            return []
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.error(key, f"{key} is not a list of tables: write each under [[{key}]]")
        name = f"[[{key}]]"
        return [Table(self.source, name, index, value) for index, value in enumerate(values)]

    def finish(self) -> None:
        """Refuse the first key that was not taken."""
        for key in self._values:
            if key not in self._known:
                place = self.name or "the file"
                known = ", ".join(self._known)
                raise self.error(key, f"key {key!r} is not known in {place}: use one of {known}")

    def _take(self, key: str) -> Any:
        self._known.append(key)
        return self._values.get(key)

    def _parse(self, key: str, value: object, parse: Callable[[str], T], example: str) -> T:
        if not isinstance(value, str):
            raise self.error(key, f'{key} {value!r} is not text: use text, such as "{example}"')
        try:
            return parse(value)
        except InvalidName as exc:
            raise self.error(key, f"{key}: {exc}") from exc


def parse_toml(path: Path, data: bytes) -> Table:
    """Return the root table of a file's content, or raise `ConfigError`."""
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: byte 0x{data[exc.start]:02x} is not UTF-8") from exc
    source = Source(path, text)
    try:
        return Table(source, "", 0, tomllib.loads(text))
    except RecursionError as exc:
        raise source.error(1, "brackets are nested too deep") from exc
    except ValueError as exc:
        raise _syntax_error(source, str(exc)) from exc


def _syntax_error(source: Source, message: str) -> ConfigError:
    place = _PLACE.search(message)
    last = max(1, len(source.text.splitlines()))
    line = int(place[1]) if place and place[1] else last
    text = _PLACE.sub("", message)
    return source.error(line, f"not valid TOML: {text[:1].lower()}{text[1:]}")
