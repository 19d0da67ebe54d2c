"""What a change costs: this checkout beside another one, in turn, in one run.

`python -m benchmarks.dataplane.checkouts DIRECTORY` runs each load through the routers of the other
checkout and through those of this one, again and again, and prints both medians and the median of
the pairs' ratios. What else the machine does meets both alike.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.common.programs import ROOT, Programs
from benchmarks.common.reporting import emit, note, number
from benchmarks.dataplane.clients import FAILURES
from benchmarks.dataplane.contenders import van_chain
from benchmarks.dataplane.loads import Load, Sample, bulk, http, new_connections, round_trips
from benchmarks.dataplane.measures import start_server
from benchmarks.dataplane.standalone import idle_router
from lab.fleet import Fleet
from lab.ports import free_port
from van.config import SiteConfig
from van.names import Endpoint

Pairs = dict[str, list[tuple[float, float]]]
"""By what is measured, the other checkout's figure and this one's, for each repetition."""

LOADS: Final[dict[str, tuple[str, Load]]] = {
    "http": ("http", partial(http, connections=16)),
    "connections": ("http", new_connections),
    "bulk-1": ("source", partial(bulk, streams=1)),
    "bulk-8": ("source", partial(bulk, streams=8)),
    "rtt": ("echo", round_trips),
}
"""With the server that each needs."""
STANDALONE: Final = "standalone"
COMMANDS: Final = (("--help",), ("status",))
COMMAND_RUNS: Final = 5
"""Runs of each command in one repetition."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dataplane.checkouts", description=__doc__
    )
    parser.add_argument("checkout", type=Path, help="the other checkout")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    names = (*LOADS, STANDALONE)
    parser.add_argument("--measures", default=",".join(names), help=", ".join(names))
    options = parser.parse_args()
    measures = options.measures.split(",")
    if unknown := [each for each in measures if each not in names]:
        parser.error(f"no such measure: {', '.join(unknown)}")
    pairs: Pairs = {}
    other: Path = options.checkout.resolve()
    for name, (server, load) in LOADS.items():
        if name in measures:
            measure_load(pairs, other, server, load, options)
    for _ in range(options.repetitions if STANDALONE in measures else 0):
        add(pairs, *(idle_router(0.0, checkout=each) for each in (other, None)))
        with Fleet() as fleet:
            fleet.make("single", SiteConfig(Endpoint("127.0.0.1", free_port())))
            fleet.run_all(["single"])
            add(pairs, *(time_commands(each, fleet.environment) for each in (other, ROOT)))
    columns = ("", "other", "this", "ratio", "least", "most")
    emit("This checkout beside another", columns, rows(pairs))


def measure_load(
    pairs: Pairs, other: Path, server: str, load: Load, options: argparse.Namespace
) -> None:
    """Put a load through chains of both checkouts in turn.

    Which chain is started first is worth a few per cent to it, so each of them is, half the time.
    """
    checkouts: tuple[Path | None, ...] = (other, None)
    for starts in (checkouts, checkouts[::-1]):
        with ExitStack() as stack:
            target = start_server(stack.enter_context(Programs()), server)
            tunnels = {
                each: stack.enter_context(van_chain(target, 1, checkout=each)) for each in starts
            }
            for repetition in range(-1, (options.repetitions + 1) // 2):
                order = starts if repetition % 2 else starts[::-1]
                try:
                    samples = {each: load(tunnels[each], options.seconds) for each in order}
                except FAILURES as exc:
                    note(f"{load} failed: {exc!r}")
                    continue
                if repetition >= 0:
                    add(pairs, *(samples[each] for each in checkouts))


def add(pairs: Pairs, other: Sample, this: Sample) -> None:
    """Keep a pair of samples."""
    for name in other.keys() & this.keys():
        pairs.setdefault(name, []).append((other[name], this[name]))
        note(f"{name}: {number(other[name])} {number(this[name])}")


def time_commands(checkout: Path, environment: dict[str, str]) -> Sample:
    """Return the least processor time of each command in milliseconds, and the time it took."""
    found = {}
    for words in COMMANDS:
        runs = [time_command(checkout, environment, words) for _ in range(COMMAND_RUNS)]
        name = f"van {words[0]}"
        found[f"{name}, CPU ms"] = min(cpu for cpu, _ in runs) * 1000
        found[f"{name}, ms"] = min(wall for _, wall in runs) * 1000
    return found


def time_command(
    checkout: Path, environment: dict[str, str], words: tuple[str, ...]
) -> tuple[float, float]:
    """Return the seconds of processor time that a command took, and those that passed."""
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            (sys.executable, "-m", "van", *words),
            cwd=checkout,
            env=environment,
            stdout=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"van {' '.join(words)} failed"
    return usage.ru_utime + usage.ru_stime, took


def rows(pairs: Pairs) -> Iterator[tuple[str, ...]]:
    """Yield what was measured."""
    for name, values in sorted(pairs.items()):
        ratios = sorted(this / other for other, this in values if other)
        medians = [statistics.median(each) for each in zip(*values, strict=True)]
        if ratios:
            figures = (*medians, statistics.median(ratios), ratios[0], ratios[-1])
            yield name, *map(number, figures)


if __name__ == "__main__":
    main()
