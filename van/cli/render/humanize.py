"""Durations and sizes as people write and read them."""

import re
from typing import Final

from van.errors import InvalidValue

_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_SHORT_UNITS: Final = {"ms": 0.001, "s": 1.0, "": 1.0}
_SHORT: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|)")
_DURATION: Final = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")


def parse_duration(text: str) -> float:
    """Read a duration such as `90s`, `15m`, `1h30m`, or `7d` into seconds; raise `InvalidValue`."""
    match = _DURATION.fullmatch(text) if text.isascii() else None
    if not text or match is None:
        raise InvalidValue(
            f"duration {text!r} is not valid: use numbers with units, such as 90s, 15m, or 1h30m"
        )
    counts = (int(count or 0) for count in match.groups())
    return float(sum(count * unit for count, unit in zip(counts, _UNITS.values(), strict=True)))


def parse_seconds(text: str) -> float:
    """Read a short time such as `0.5`, `2s`, or `500ms` into seconds; raise `InvalidValue`."""
    match = _SHORT.fullmatch(text) if text.isascii() else None
    if match is None:
        raise InvalidValue(f"time {text!r} is not valid: use seconds, such as 0.5, 2s, or 500ms")
    return float(match[1]) * _SHORT_UNITS[match[2]]


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units, rounded down; below ten seconds, to a tenth."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    rest = int(seconds)
    parts: list[str] = []
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return "".join(parts[:2])


def format_bytes(count: int) -> str:
    """Return a size in the largest decimal unit that leaves a number of at least one."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.95 or (unit == "B" and size < 1000):
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def format_round_trip(milliseconds: float) -> str:
    """Return a round trip in milliseconds, with as many digits as matter."""
    return f"{milliseconds:.2f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def format_count(count: int, noun: str) -> str:
    """Return a number with its noun: `1 use`, `3 uses`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """Return a text without what a terminal would obey: what another site sent can't move the
    cursor."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
