"""How benchmarks report: progress on standard error, tables in Markdown on standard output."""

import sys
import time
from collections.abc import Iterable, Sequence

_STARTED = time.monotonic()


def note(text: str) -> None:
    """Tell how far a benchmark is."""
    sys.stderr.write(f"{time.monotonic() - _STARTED:7.1f} s  {text}\n")
    sys.stderr.flush()


def emit(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, the first column to the left and the others to the right."""
    cells = [list(columns), *(list(row) for row in rows)]
    widths = [max(3, *(len(row[index]) for row in cells)) for index in range(len(columns))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    print(f"**{title}**\n")
    for row in (cells[0], rule, *cells[1:]):
        padded = [row[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print(f"| {' | '.join(padded)} |")
    print(flush=True)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the least value that so many per cent of the values do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)  # the nearest rank, rounded up
    return ordered[max(1, int(rank)) - 1]


def number(value: float) -> str:
    """Return a figure with three digits that matter, or with all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
