"""What it costs to go through `van`, beside no tunnel and three proxies, on loopback.

`python -m benchmarks.dataplane` takes every contender through every measure in turn, so that what
else the machine does meets them alike, and prints medians.
"""

import argparse
import json
import resource
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import attrs

from benchmarks.contenders import CONTENDERS, Tunnel
from benchmarks.loads import MEASURES, Load, Measure, start_server
from benchmarks.programs import Programs
from benchmarks.reporting import emit, note

HOPS: Final = {1: "one hop", 2: "two hops"}
WARM_UP: Final = 1.0
"""Most seconds of each load, for each contender, that do not count."""
FAILURES: Final = (AssertionError, OSError, subprocess.SubprocessError)
"""What a contender may do in one measure while the others go on."""

Figures = dict[str, dict[str, list[float]]]
"""By what is measured and by contender, the value of each repetition."""


@attrs.frozen
class Plan:
    """What is to be measured."""

    contenders: tuple[str, ...]
    measures: tuple[str, ...]
    repetitions: int = 3
    seconds: float = 2.0
    """How long each load lasts."""


def main() -> None:
    """Run the measures that were asked for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # after cleaning up
    options = _parse()
    raise_descriptor_limit()
    plan = Plan(
        available(options.contenders),
        tuple(options.measures),
        options.repetitions,
        options.seconds,
    )
    found: dict[str, Figures] = {}
    for hops in options.hops:
        figures = found[HOPS[hops]] = measure(plan, hops)
        emit(f"Over {HOPS[hops]}", ("", *plan.contenders), describe(figures, plan.contenders))
        if options.json is not None:
            options.json.write_text(json.dumps(found, indent=1) + "\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane", description=__doc__)
    parser.add_argument("--contenders", type=_words, default=list(CONTENDERS))
    parser.add_argument("--measures", type=_words, default=list(MEASURES))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--hops", type=_numbers, default=list(HOPS), help="such as 1,2")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def available(names: Sequence[str]) -> tuple[str, ...]:
    """Return the contenders that are installed; say which are not."""
    found = []
    for name in names:
        if missing := CONTENDERS[name].missing():
            note(f"{name} is skipped: {', '.join(missing)} is not installed")
        else:
            found.append(name)
    return tuple(found)


def raise_descriptor_limit() -> None:
    """Allow this process, and the programs that it starts, as many descriptors as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def measure(plan: Plan, hops: int) -> Figures:
    """Take every contender through every measure, over so many hops."""
    figures: Figures = {}
    for name in plan.measures:
        note(f"{name}, {HOPS[hops]}")
        kind = MEASURES[name]
        with Programs() as programs:
            target = start_server(programs, kind.server)
            if kind.is_fresh:
                measure_once(plan, kind, target, hops, figures)
            else:
                measure_in_turn(plan, kind, target, hops, figures)
    return figures


def measure_in_turn(plan: Plan, kind: Measure, target: int, hops: int, figures: Figures) -> None:
    """Run each load for one contender after the other, and that again and again."""
    with ExitStack() as stack:
        tunnels = dict(open_all(stack, plan.contenders, target, hops))
        for load in kind.loads:
            for name, tunnel in tunnels.items():
                attempt(load, name, tunnel, min(WARM_UP, plan.seconds), {})
            for _ in range(plan.repetitions):
                for name, tunnel in tunnels.items():
                    attempt(load, name, tunnel, plan.seconds, figures)


def measure_once(plan: Plan, kind: Measure, target: int, hops: int, figures: Figures) -> None:
    """Run each load for one contender after the other, each time with new processes."""
    for load in kind.loads:
        for each in plan.contenders:
            with ExitStack() as stack:
                for name, tunnel in open_all(stack, (each,), target, hops):
                    attempt(load, name, tunnel, plan.seconds, figures)


def open_all(
    stack: ExitStack, names: Sequence[str], target: int, hops: int
) -> Iterator[tuple[str, Tunnel]]:
    """Open the tunnels of contenders; say which can't be opened."""
    for name in names:
        try:
            yield name, stack.enter_context(CONTENDERS[name].open(target, hops))
        except FAILURES as exc:
            note(f"{name} is left out: {exc}")


def attempt(load: Load, name: str, tunnel: Tunnel, seconds: float, figures: Figures) -> None:
    """Run a load and add what came of it to the figures; say so when it fails."""
    try:
        sample = load(tunnel, seconds)
    except FAILURES as exc:
        note(f"{name} failed: {exc!r}")
        return
    note(f"{name}: {', '.join(f'{what} {number(value)}' for what, value in sample.items())}")
    for what, value in sample.items():
        figures.setdefault(what, {}).setdefault(name, []).append(value)


def describe(figures: Figures, contenders: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table: medians of what was measured."""
    for what, values in figures.items():
        yield (what, *(_median(values.get(name, ())) for name in contenders))


def _median(values: Sequence[float]) -> str:
    return number(statistics.median(values)) if values else "–"


def number(value: float) -> str:
    """Return a figure with three digits that matter, or all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
