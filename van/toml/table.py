"""TOML that people edit: tables that say on which line they are wrong, and what would be right.

A reader takes the keys that it knows from a `Table` and then calls `finish`, which refuses the
rest. Every mistake is a `ConfigError` that begins with FILE:LINE.
"""

import codecs
import tomllib
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import attrs

from van.errors import ConfigError, InvalidName
from van.toml.layout import Layout
from van.toml.syntax import explain_syntax

T = TypeVar("T")


@attrs.frozen
class Source:
    """The text of a file, to say where in it something is."""

    path: Path
    text: str = attrs.field(repr=False)

    def error(self, line: int, message: str) -> ConfigError:
        """Return the error to raise for a line."""
        return ConfigError(f"{self.path}:{line}: {message}")

    @cached_property
    def layout(self) -> Layout:
        """Return where everything is; worked out when there is a mistake to name."""
        return Layout(self.text)


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
        return self.source.error(self.find_line(key), message)

    def find_line(self, key: str | None = None) -> int:
        """Return the line of a key, or that of the table's header."""
        return self.source.layout.find_line(self.name.strip("[]"), self.index, key)

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
        self.expect(self._known)

    def expect(self, known: Collection[str], *, retired: Collection[str] = ()) -> None:
        """Refuse the first key that is neither known nor one that once was."""
        for key in self._values:
            if key not in known and key not in retired:
                place = self.name or "the file"
                names = ", ".join(known)
                raise self.error(key, f"key {key!r} is not known in {place}: use one of {names}")

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
    """Return the root table of a file's content, or raise `ConfigError`.

    A byte-order mark of UTF-8 is passed over, and lines may end in either way.
    """
    source = Source(path, _decode(path, data))
    try:
        return Table(source, "", 0, tomllib.loads(source.text))
    except RecursionError as exc:
        raise source.error(1, "brackets are nested too deep") from exc
    except ValueError as exc:
        line, reason = explain_syntax(source.text, str(exc))
        raise source.error(line, f"not valid TOML: {reason}") from exc


def _decode(path: Path, data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"{path}:1: text is in UTF-16: save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: byte 0x{data[exc.start]:02x} is not UTF-8") from exc
