"""What it costs to go through `van`, beside no tunnel and four proxies, on loopback.

`python -m benchmarks.dataplane` prints the medians of what `benchmarks.dataplane.runs` measured,
and what was to be reached.
"""

import argparse
import json
import resource
import signal
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from benchmarks.common.reporting import emit, note, number
from benchmarks.dataplane.contenders import BEFORE, CONTENDERS, DIRECT, VAN
from benchmarks.dataplane.datagrams import SOCAT
from benchmarks.dataplane.reach import judge
from benchmarks.dataplane.runs import (
    ALL_MEASURES,
    DATAGRAMS,
    HOPS,
    LONG_PATH,
    VAN_STANDALONE,
    Figures,
    Plan,
    available,
    measure,
)

COLUMNS: Final = {
    LONG_PATH: [DIRECT, BEFORE, VAN],
    DATAGRAMS: [DIRECT, SOCAT, BEFORE, VAN],
    VAN_STANDALONE: [BEFORE, VAN],
}
"""Who is measured in those parts of a run in which not all contenders are."""
DESCRIPTORS: Final = 65536
"""More than 5,000 flows take of any process: four each, in stunnel between two others."""


def main() -> None:
    """Run the measures that were asked for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # after cleaning up
    options = _parse()
    raise_descriptor_limit()
    before = [BEFORE] if options.before is not None else []
    plan = Plan(
        available(options.contenders) + before,
        options.measures,
        options.repetitions,
        options.seconds,
        options.hops,
        options.before,
    )
    parts = load(options.add) if options.add is not None else {}
    try:
        for part, figures in measure(plan):
            add(parts, part, figures)
            if options.json is not None:
                kept = {"plan": attrs.asdict(plan, value_serializer=_as_text), "dataplane": parts}
                options.json.write_text(json.dumps(kept, indent=1) + "\n")
    finally:  # whoever ends a long run wants to see what it has found
        show(parts)


def show(parts: dict[str, Figures]) -> None:
    """Print all tables."""
    for part, figures in parts.items():
        columns = COLUMNS.get(part, [*CONTENDERS, BEFORE])
        columns = [name for name in columns if name != BEFORE or is_there(name, figures)]
        emit(part.capitalize(), ("median", *columns), describe(figures, columns))
    emit("To reach", ("", "bound", "reached", "is reached"), judge(parts))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane", description=__doc__)
    parser.add_argument(
        "--contenders", type=_some(CONTENDERS), default=list(CONTENDERS), help="such as nginx,van"
    )
    parser.add_argument(
        "--measures", type=_some(ALL_MEASURES), default=list(ALL_MEASURES), help="such as rtt,bulk"
    )
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--hops", type=_hops, default=list(HOPS), help="1, 2, or 1,2")
    parser.add_argument(
        "--before", type=Path, metavar="DIRECTORY", help="another checkout, to measure it as well"
    )
    parser.add_argument("--json", type=Path, help="where to keep the figures, after each measure")
    parser.add_argument("--add", type=Path, help="figures of an earlier run that are to stay")
    return parser.parse_args()


def _some(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a reader of names, of which there are only these."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(
                f"{', '.join(sorted(unknown))} is not known: use some of {','.join(known)}"
            )
        return names

    return read


def _hops(text: str) -> list[int]:
    return [int(word) for word in _some([str(hops) for hops in HOPS])(text)]


def raise_descriptor_limit() -> None:
    """Allow this process, and the programs that it starts, as many descriptors as need be.

    An ordinary user can have no more than the system allows: what does not fit then fails.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, max(DESCRIPTORS, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        note(f"a process may have {hard:,} descriptors, of {DESCRIPTORS:,} wanted")


def load(file: Path) -> dict[str, Figures]:
    """Return the figures that a run has kept, by its parts."""
    parts: dict[str, Figures] = json.loads(file.read_text())["dataplane"]
    return parts


def add(parts: dict[str, Figures], part: str, figures: Figures) -> None:
    """Put the figures of a measure in the place of those that were there of the same contenders."""
    for what, values in figures.items():
        parts.setdefault(part, {}).setdefault(what, {}).update(values)


def is_there(name: str, figures: Figures) -> bool:
    """Tell whether there are figures of a contender."""
    return any(name in values for values in figures.values())


def describe(figures: Figures, contenders: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of a table: the median of each figure for each contender."""
    for what, values in figures.items():
        yield (what, *(_median(values.get(name, ())) for name in contenders))


def _as_text(_plan: object, _attribute: object, value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _median(values: Sequence[float]) -> str:
    return number(statistics.median(values)) if values else "–"


if __name__ == "__main__":
    main()
