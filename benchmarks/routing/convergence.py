"""How fast routing converges and how it grows, on real engines under a simulated clock.

`python -m benchmarks.routing.convergence` prints Markdown tables; `--json FILE` keeps the figures,
from which `benchmarks.common.plots` draws. Each measurement runs in a process of its own.
"""

import argparse
import gc
import json
import multiprocessing
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.common.reporting import emit, note
from benchmarks.routing.simulated import (
    Row,
    measure_cut,
    measure_flapping,
    measure_growth,
    measure_memory,
    measure_mesh,
)

Measurement = partial[Row]

TITLES = {
    "grid": "A link of a grid is cut, 10 ms a hop",
    "growth": "From nothing to all tables right, random graphs of mean degree 4, 10 ms a hop",
    "memory": "What one engine allocates for a network it has learned",
    "mesh": "Copies of one change in a full mesh",
    "flapping": "A link comes and goes",
}


def main() -> None:
    """Run the measurements that were asked for."""
    options = _parse(sys.argv[1:])
    found: dict[str, list[Row]] = {}
    for name in options.cases:
        found[name] = []
        for measurement in _measurements(name, options):
            note(f"{name} {', '.join(map(str, measurement.args))}")
            found[name].append(_run_apart(measurement))
            if options.json is not None:
                options.json.write_text(json.dumps(found, indent=1) + "\n")
        _print(TITLES[name], found[name])


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.routing.convergence", description=__doc__
    )
    parser.add_argument("--cases", type=_words, default=list(TITLES), help="such as grid,growth")
    parser.add_argument("--sizes", type=_numbers, default=[10, 100, 1000], help="routers of growth")
    parser.add_argument("--mesh-sizes", type=_numbers, default=[30, 60, 100])
    parser.add_argument("--side", type=int, default=20, help="of the grid, in routers")
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--flap-seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    if unknown := set(options.cases) - TITLES.keys():
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return options


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


def _measurements(name: str, options: argparse.Namespace) -> Iterable[Measurement]:
    match name:
        case "grid":
            return [partial(measure_cut, options.side, options.cuts)]
        case "growth":
            return [partial(measure_growth, size) for size in options.sizes]
        case "memory":
            return [partial(measure_memory, size, 10 * size) for size in (10, 100, 1000)]
        case "mesh":
            return [partial(measure_mesh, size, 20) for size in options.mesh_sizes]
        case "flapping":
            return [partial(measure_flapping, 30, 10.0, options.flap_seconds)]
    raise AssertionError(name)


def _run_apart(measurement: Measurement) -> Row:
    """Run a measurement in a new process, so that none finds another's memory.

    It collects no garbage: to look at millions of objects that all are in use takes longer than
    the work.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=gc.disable) as pool:
        return pool.submit(measurement).result()


def _print(title: str, rows: Sequence[Row]) -> None:
    """Print a column for each measurement and a line for each figure; the first one heads it."""
    head, *figures = rows[0]
    lines = [[figure, *(_shown(row[figure]) for row in rows)] for figure in figures]
    emit(title, [head, *(_shown(row[head]) for row in rows)], lines)


def _shown(figure: float) -> str:
    if figure == round(figure):
        return f"{round(figure):,}"
    return f"{figure:,.1f}" if abs(figure) >= 100 else f"{figure:.3g}"


if __name__ == "__main__":
    main()
