"""How soon traffic flows again after a fault on its path, with a dozen real routers.

`python -m benchmarks.routing.recovery` breaks the path in use in each of four ways, again and
again, while a client begins a new flow every few milliseconds and another one has a flow under way.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import trio

from benchmarks.common.reporting import emit, note, percentile
from lab.faults import PAUSE, Fault, Injector, Observation
from lab.probing import EchoServer
from lab.redundant import redundant

REST = 1.0
"""Seconds before each fault, so that it meets a network at rest."""
FIGURES: dict[str, Callable[[Observation], float | None]] = {
    "first new flow served": lambda each: each.first_served,
    "new flows served for good": lambda each: each.served_for_good,
    "live flow ended at client": lambda each: each.client_told,
    "live flow ended at server": lambda each: each.server_told,
}
KINDS = {fault.name.lower(): fault for fault in Fault}


def main() -> None:
    """Inject faults and print how long each was felt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--faults", default="all", help=f"some of {','.join(KINDS)}; all by default"
    )
    parser.add_argument("--injections", type=int, default=30, help="faults of each kind")
    parser.add_argument("--pause", type=float, default=PAUSE, help="seconds between new flows")
    parser.add_argument("--rows", type=int, default=4, help="transit sites in each of two rows")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    names = list(KINDS) if options.faults == "all" else options.faults.split(",")
    found: dict[Fault, list[Observation]] = {}
    for name in names:
        found[KINDS[name]] = trio.run(
            measure, KINDS[name], options.injections, options.rows, options.pause
        )
    emit(
        "Recovery after a fault on the path in use, in milliseconds",
        ("fault", "what", "n", "never", "min", "p50", "p90", "p99", "max"),
        [row for fault, observed in found.items() for row in describe(fault, observed)],
    )
    emit(
        "New flows that were not served within half a second, and live flows that were not reset",
        ("fault", "injections", "new flows missed", "most in one", "not reset at both ends"),
        [count(fault, observed) for fault, observed in found.items()],
    )
    if options.json:
        raw = {fault.name.lower(): list(map(attrs.asdict, each)) for fault, each in found.items()}
        options.json.write_text(json.dumps(raw, indent=2))


async def measure(fault: Fault, injections: int, rows: int, pause: float) -> list[Observation]:
    """Return what each of so many faults of one kind did to one network."""
    found: list[Observation] = []
    async with trio.open_nursery() as nursery:
        server = EchoServer()
        await nursery.start(server.run)
        note(f"{fault}: starting the routers")
        with redundant(server.port, rows=rows) as net:
            injector = Injector(net, server, pause)
            for turn in range(injections):
                await trio.sleep(REST)
                try:
                    found.append(await injector.observe(fault, turn))
                except (AssertionError, ExceptionGroup) as exc:
                    note(f"{fault}: given up after {turn}: {exc!r}")
                    break
                note(f"{fault} {turn + 1}/{injections}: {found[-1]}")
        nursery.cancel_scope.cancel()
    return found


def describe(fault: Fault, observed: Sequence[Observation]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table for a kind of fault."""
    for what, look in FIGURES.items():
        times = [1000 * time for each in observed if (time := look(each)) is not None]
        counts = (str(len(observed)), str(len(observed) - len(times)))
        ranks = (0, 50, 90, 99, 100)
        yield (fault, what, *counts, *(f"{percentile(times, rank):.0f}" for rank in ranks if times))


def count(fault: Fault, observed: Sequence[Observation]) -> tuple[str, ...]:
    """Return the line of the second table for a kind of fault."""
    missed = [each.failures for each in observed]
    unreset = sum(not (each.client_saw_reset and each.server_saw_reset) for each in observed)
    return (fault, str(len(observed)), str(sum(missed)), str(max(missed, default=0)), str(unreset))


if __name__ == "__main__":
    main()
