"""Runs flows of every kind for minutes or hours, and tells what grows meanwhile.

`python -m benchmarks.soak --minutes 60` runs three routers in a row, of which each takes a census
of itself whenever all is at rest: before, in between, and after. Meanwhile addresses come and go, a
fourth router is killed and started again, and its link is cut. What came is checked by its hash.
Memory, descriptors, objects by kind, and containers are shown with their slopes. It fails if
something that came was spoilt, or something grew that `NAMED` does not name.
"""

import argparse
import itertools
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import msgspec
import trio

from benchmarks.common.reporting import emit, note
from benchmarks.soak.census import Census
from benchmarks.soak.flows import Tally, Use, user
from benchmarks.soak.scene import COUNTED, Scene, open_scene
from lab.processes import wait_for
from van.router.reactor.limits import DEFAULT_LIMITS

USERS: Final = 2
"""Of each kind, at one time."""
PAUSE: Final = 0.1
CHURN_PAUSE: Final = 2.0
REST: Final = DEFAULT_LIMITS.idle_lifetime + 3 * DEFAULT_LIMITS.trim_interval
"""Seconds until channels and groups that nobody uses are gone."""
SEED: Final = 7
SLACK: Final = 10
"""How many more of something there may be: what is at rest is not the same to the last object."""
NAMED: Final[dict[str, str]] = {
    "EventLog": "the last thousand events are kept",
    "telemetry.events.Event": "these are they",
    "Endings": "the last hundred flows that ended in each way are kept",
    "flow.endings": "these are they",
    "LeastRecent": "the round trips of the last seconds",
    "builtins.": "what holds them is told of by itself",
}
"""What may grow, by a part of its name, and until when."""


@attrs.define
class Counts:
    """What was found at each rest, and how many flows there had been by then."""

    flows: list[int] = attrs.field(factory=list)
    minutes: list[float] = attrs.field(factory=list)
    censuses: dict[str, list[Census]] = attrs.field(factory=lambda: {site: [] for site in COUNTED})


def main() -> int:
    """Run a soak, and return 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long flows are run")
    parser.add_argument("--blocks", type=int, default=4, help="rests in between, and at the end")
    parser.add_argument("--rest", type=float, default=REST, help="seconds of each rest")
    parser.add_argument("--json", type=Path, help="write every census to this file")
    options = parser.parse_args()
    tally, counts = trio.run(soak, options.minutes, options.blocks, options.rest)
    if options.json:
        options.json.write_bytes(msgspec.json.encode(counts.censuses))
    return report(tally, counts)


async def soak(minutes: float, blocks: int, rest: float) -> tuple[Tally, Counts]:
    """Return how the flows went, and what was counted."""
    tally, counts = Tally(), Counts()
    async with open_scene() as scene:
        began = trio.current_time()
        note("warming up")
        await _run_block(scene, tally, min(30.0, 60 * minutes / blocks))
        for block in range(blocks + 1):
            await trio.to_thread.run_sync(_wait_until_quiet, scene)
            await trio.sleep(rest)
            for site in COUNTED:
                census = await trio.to_thread.run_sync(scene.census, site)
                counts.censuses[site].append(census)
            counts.flows.append(sum((tally.passed + tally.lost).values()))
            counts.minutes.append((trio.current_time() - began) / 60)
            sizes = [counts.censuses[site][-1].resident / 1e6 for site in COUNTED]
            note(f"{counts.flows[-1]} flows, {' '.join(f'{size:.1f}' for size in sizes)} MB")
            if block < blocks:
                await _run_block(scene, tally, 60 * minutes / blocks)
    return tally, counts


async def _run_block(scene: Scene, tally: Tally, seconds: float) -> None:
    rng = random.Random(SEED)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        for kind, ports in scene.ports.items():
            for number in range(USERS):
                port = ports[number % len(ports)]
                nursery.start_soon(_use_again, stop, tally, kind, port, user(kind, rng))
        nursery.start_soon(_churn_addresses, stop, scene, tally, user("asked", rng))
        nursery.start_soon(_churn_routers, stop, scene)
        await trio.sleep(seconds)
        stop.set()


async def _use_again(stop: trio.Event, tally: Tally, kind: str, port: int, use: Use) -> None:
    while not stop.is_set():
        await tally.count(kind, use, port)
        await trio.sleep(PAUSE)


async def _churn_addresses(stop: trio.Event, scene: Scene, tally: Tally, use: Use) -> None:
    while not stop.is_set():
        address, port = await trio.to_thread.run_sync(scene.attach)
        await trio.sleep(CHURN_PAUSE / 2)
        await tally.count("to a new address", use, port)
        await trio.to_thread.run_sync(scene.detach, address)
        await trio.sleep(CHURN_PAUSE / 2)


async def _churn_routers(stop: trio.Event, scene: Scene) -> None:
    while not stop.is_set():
        for change in (scene.flap, scene.flap, scene.restart_guest):
            await trio.sleep(2 * CHURN_PAUSE)
            await trio.to_thread.run_sync(change)


def _wait_until_quiet(scene: Scene) -> None:
    wait_for(lambda: not scene.flows(), "every flow has ended", timeout=60.0)


# -- what is told ------------------------------------------------------------------------------


def report(tally: Tally, counts: Counts) -> int:
    """Print what was found, and return 1 if something is wrong."""
    kinds = sorted({*tally.passed, *tally.lost, *tally.spoilt})
    emit(
        "Flows",
        ("kind", "whole", "broken off", "spoilt"),
        [
            (kind, *(f"{each[kind]:,}" for each in (tally.passed, tally.lost, tally.spoilt)))
            for kind in kinds
        ],
    )
    grown: list[tuple[str, ...]] = []
    unnamed = False
    rows = []
    for site, censuses in counts.censuses.items():
        rows += _figures(site, censuses, counts)
        for name, values in _growing(censuses).items():
            reason = next((why for part, why in NAMED.items() if part in name), "")
            unnamed = unnamed or not reason
            slope = _slope(counts.flows, values) * 1000
            shown = (f"{values[0]:,}", f"{values[-1]:,}", f"{slope:+.1f}")
            grown.append((f"{site}: {name}", *shown, reason))
    emit("At rest", ("", "before", "after", "an hour", "1,000 flows"), rows)
    emit("What has grown", ("", "before", "after", "1,000 flows", "why it may"), grown)
    spoilt = sum(tally.spoilt.values())
    if spoilt or unnamed:
        print(f"{spoilt} flows spoilt; " + ("something grows without end" if unnamed else ""))
    return int(bool(spoilt or unnamed))


def _figures(
    site: str, censuses: Sequence[Census], counts: Counts
) -> list[tuple[str, str, str, str, str]]:
    figures = {
        "MB of memory": [each.resident / 1e6 for each in censuses],
        "objects": [float(sum(each.objects.values())) for each in censuses],
        "only the collector frees": [float(each.cyclic) for each in censuses],
        "descriptors": [float(each.descriptors) for each in censuses],
        "threads": [float(each.threads) for each in censuses],
    }
    return [
        (
            f"{site}: {name}",
            f"{values[0]:,.1f}",
            f"{values[-1]:,.1f}",
            f"{60 * _slope(counts.minutes, values):+,.1f}",
            f"{1000 * _slope(counts.flows, values):+,.2f}",
        )
        for name, values in figures.items()
    ]


def _growing(censuses: Sequence[Census]) -> dict[str, list[int]]:
    """Return what became more from each rest to the next, with all its counts."""
    found = {}
    for counted in (
        [each.objects for each in censuses],
        [each.containers for each in censuses],
    ):
        for name in sorted(set().union(*counted)):
            values = [each.get(name, 0) for each in counted]
            steps = [after - before for before, after in itertools.pairwise(values)]
            if values[-1] - values[0] > SLACK and all(step > 0 for step in steps):
                found[name] = values
    return found


def _slope(at: Sequence[float], values: Sequence[float]) -> float:
    """Return by how much the values grow with each unit, by least squares."""
    middle, mean = sum(at) / len(at), sum(values) / len(values)
    spread = sum((each - middle) ** 2 for each in at)
    if not spread:
        return 0.0
    return sum((x - middle) * (y - mean) for x, y in zip(at, values, strict=True)) / spread


if __name__ == "__main__":
    sys.exit(main())
