"""Lines of the log that repeat: the first is written, and then, ever more rarely, how many came.

Without a clock of its own, so that a test can let an hour pass.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import attrs

FIRST_WINDOW: Final = 60.0
LAST_WINDOW: Final = 3600.0
"""Seconds after which a line that repeats is counted out; doubles from the first to the last."""
MAX_LINES: Final = 256
"""Different lines that are remembered; past that the one that came first is forgotten."""
_PEER_PORT: Final = re.compile(r"(?<=[0-9\]]):[0-9]+\b")
"""The port of a literal address: a client has another one each time."""


@attrs.define
class _Line:
    text: str
    since: float
    window: float = FIRST_WINDOW
    count: int = 0


@attrs.frozen
class Repeated:
    """What is to be written of a line that came again."""

    kind: str
    text: str
    count: int
    seconds: float


class Repeats:
    """Decides which lines are written; `kind` is what two lines must have in common besides."""

    def __init__(self) -> None:
        self._lines: OrderedDict[tuple[str, str], _Line] = OrderedDict()

    def is_new(self, kind: str, text: str, now: float) -> bool:
        """Take a line, and tell whether it is to be written. Call `due` first."""
        key = kind, _PEER_PORT.sub(":*", text)
        line = self._lines.get(key)
        if line is not None:
            line.count += 1
            return False
        self._lines[key] = _Line(text, now)
        return True

    def due(self, now: float, *, is_end: bool = False) -> Iterator[Repeated]:
        """Yield what is to be written by now, or of all that was held back, at the end."""
        for key, line in list(self._lines.items()):
            if not is_end and now < line.since + line.window and len(self._lines) <= MAX_LINES:
                continue
            if line.count:
                yield Repeated(key[0], line.text, line.count, now - line.since)
            if line.count and len(self._lines) <= MAX_LINES:
                line.since, line.count = now, 0
                line.window = min(LAST_WINDOW, line.window * 2)
            else:
                del self._lines[key]
