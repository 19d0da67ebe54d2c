"""What the parser's complaints about TOML mean, and what to write instead."""

import re
from collections.abc import Callable
from typing import Final

_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_NAME: Final = re.compile(r"\('([^']*)'")
_SHOWN: Final = 40
"""Characters of a line that are shown at most."""
_SUBSTITUTES: Final = "\u201c\u201d\u201e\u2018\u2019"
"""Quotes that word processors and chats put in the place of straight ones."""


def explain_syntax(text: str, message: str) -> tuple[int, str]:
    """Return the line of a mistake, and what it is, given what the parser says of it."""
    place = _PLACE.search(message)
    lines = text.split("\n")
    if place and place[1]:
        number, column = int(place[1]), int(place[2])
    else:
        number = max(1, len(text.splitlines()))
        column = len(lines[number - 1]) + 1
    line = lines[number - 1].rstrip("\r")
    said = _PLACE.sub("", message)
    for start, explain in _EXPLANATIONS.items():
        if said.startswith(start):
            return number, explain(_Mistake(text, said, line, column))
    return number, f"{said[:1].lower()}{said[1:]}"


class _Mistake:
    """What the parser said, and the line it said it of."""

    def __init__(self, text: str, said: str, line: str, column: int) -> None:
        self.text = text
        self.said = said
        self.line = line
        self.rest = line[column - 1 :].strip()[:_SHOWN]
        """The line from where the parser went no further."""
        name = _NAME.search(said) or re.match(r"[\s\[]*[\"']?([\w-]+)", line)
        self.name = name[1] if name else ""
        """The table or key that it is about."""

    def find_first(self) -> int:
        """Return the line on which the name stands first; 1 when it is written in another way."""
        name = re.escape(self.name)
        pattern = re.compile(rf"[ \t]*\[*[ \t]*[\"']?{name}[\"']?[ \t]*[].=]", re.MULTILINE)
        first = next((each for each in pattern.finditer(self.text) if _starts_line(each)), None)
        return self.text.count("\n", 0, first.start()) + 1 if first else 1


def _starts_line(match: re.Match[str]) -> bool:
    return match.start() == 0 or match.string[match.start() - 1] == "\n"


def _equals(mistake: _Mistake) -> str:
    found = repr(mistake.rest) if mistake.rest else "the end of the line"
    return f"expected '=' after a key, found {found}: write KEY = VALUE"


def _value(mistake: _Mistake) -> str:
    found = mistake.rest.split("#")[0].strip()
    if not found:
        return "a value is missing after '='"
    if found.lower() in {"true", "false", "yes", "no", "on", "off"}:
        return f"{found} is not a value: use true or false"
    if any(mark in found for mark in _SUBSTITUTES):
        return f'{found} is not in straight quotes: use "…"'
    return f'{found!r} is not a value: write text in quotes, as "{found.strip(chr(34))}"'


def _string(mistake: _Mistake) -> str:
    if mistake.said.startswith("Illegal character") and "\\n" not in mistake.said:
        return f"{mistake.said[:1].lower()}{mistake.said[1:]}"
    return "a text has no closing quote"


def _rest(mistake: _Mistake) -> str:
    return f"{mistake.rest!r} is one too many on the line: write each KEY = VALUE on its own"


def _twice(mistake: _Mistake) -> str:
    first = mistake.find_first()
    if mistake.line.lstrip().startswith("["):
        return f"table {mistake.name!r} is there already, on line {first}: put both under one"
    return f"key {mistake.name!r} is there already, on line {first}: keep one"


def _closed(mistake: _Mistake) -> str:
    return (
        f"{mistake.name!r} is written as {mistake.name} = … already, on line "
        f"{mistake.find_first()}: write this there, or that as a block too"
    )


_EXPLANATIONS: Final[dict[str, Callable[[_Mistake], str]]] = {
    "Expected '=' after": _equals,
    "Invalid value": _value,
    "Illegal character": _string,
    "Unterminated string": _string,
    'Expected "\'"': _string,
    "Expected newline": _rest,
    "Cannot declare": _twice,
    "Cannot overwrite": _twice,
    "Cannot mutate": _closed,
    "Unclosed array": lambda _: "a list has no closing bracket, or no comma between two values",
}
