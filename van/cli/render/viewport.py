"""The part of some lines that a screen has room for, and the keys that move it; without I/O."""

import re
from collections.abc import Sequence
from typing import Final

import attrs

from van.cli.render.layout import Line, Span
from van.cli.render.tables import MUTED

UP: Final = "up"
DOWN: Final = "down"
PAGE_UP: Final = "page up"
PAGE_DOWN: Final = "page down"
HOME: Final = "home"
END: Final = "end"
QUIT: Final = "quit"

_SEQUENCES: Final = {
    b"A": UP,
    b"B": DOWN,
    b"H": HOME,
    b"F": END,
    b"1~": HOME,
    b"7~": HOME,
    b"4~": END,
    b"8~": END,
    b"5~": PAGE_UP,
    b"6~": PAGE_DOWN,
}
"""What follows the introducer of a control sequence (ECMA-48, section 5.4)."""
_LETTERS: Final = {
    b"k": UP,
    b"j": DOWN,
    b"b": PAGE_UP,
    b" ": PAGE_DOWN,
    b"g": HOME,
    b"G": END,
    b"q": QUIT,
    b"\r": DOWN,
    b"\n": DOWN,
}
"""As in `less`."""
_KEY: Final = re.compile(rb"\x1b[\[O]([0-9;]*[A-Za-z~])|([^\x1b])", re.DOTALL)


def read_keys(data: bytes) -> list[str]:
    """Return which keys a terminal has sent; those that mean nothing are left out."""
    pressed = (
        _SEQUENCES.get(found[1]) if found[1] else _LETTERS.get(found[2])
        for found in _KEY.finditer(data)
    )
    return [key for key in pressed if key]


@attrs.define
class Viewport:
    """What is seen of lines on a screen, on whose last line stands how to see the rest."""

    has_keys: bool = True
    """Whether anybody can press any."""
    offset: int = 0
    """Lines above what is seen."""
    _page: int = 1
    _total: int = 0

    def press(self, key: str) -> None:
        """Move; `show` keeps it within the lines."""
        steps = {UP: -1, DOWN: 1, PAGE_UP: -self._page, PAGE_DOWN: self._page}
        if key == HOME:
            self.offset = 0
        elif key == END:
            self.offset = self._total
        else:
            self.offset += steps.get(key, 0)
        self._keep_within()

    def show(self, lines: Sequence[Line], height: int) -> list[Line]:
        """Return what is seen on a screen of so many lines: as many, or fewer."""
        self._page, self._total = max(1, height - 1), len(lines)
        self._keep_within()
        seen = lines[self.offset : self.offset + self._page]
        if height < 2:
            return list(seen)
        return [*seen, (Span(self._hint(len(seen)), MUTED),)]

    def _hint(self, seen: int) -> str:
        first, last = self.offset + 1, self.offset + seen
        where = "" if seen == self._total else f"lines {first} to {last} of {self._total}"
        if not self.has_keys:
            return where or "all is shown"
        return f"{where}: arrows scroll, q quits" if where else "q quits"

    def _keep_within(self) -> None:
        self.offset = max(0, min(self.offset, self._total - self._page))
