"""The order of a run: every contender through every measure in turn, again and again.

What else the machine does then meets all of them alike. A load that fails is said to have failed,
and the rest goes on.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from benchmarks.common.programs import Programs
from benchmarks.common.reporting import note, number
from benchmarks.dataplane import datagrams, long_path
from benchmarks.dataplane.clients import FAILURES
from benchmarks.dataplane.contenders import CONTENDERS, Tunnel, contender, routers
from benchmarks.dataplane.loads import Sample
from benchmarks.dataplane.measures import MEASURES, Measure, start_server
from benchmarks.dataplane.standalone import ALONE, Standalone

HOPS: Final = {1: "one hop", 2: "two hops"}
VAN_STANDALONE: Final = "van standalone"
DATAGRAMS: Final = "datagrams"
LONG_PATH: Final = "long path"
ALL_MEASURES: Final = (*MEASURES, "long-path", DATAGRAMS, "standalone")
WARM_UP: Final = 1.0
"""Most seconds of each load, for each contender, that do not count."""

Figures = dict[str, dict[str, list[float]]]
"""By what is measured and by contender, the value of each repetition."""


@attrs.frozen
class Plan:
    """What is to be measured."""

    contenders: Sequence[str]
    measures: Sequence[str] = ALL_MEASURES
    repetitions: int = 3
    seconds: float = 2.0
    """How long each load lasts."""
    hops: Sequence[int] = tuple(HOPS)
    before: Path | None = None
    """The checkout whose routers are the contender of that name."""

    @property
    def routers(self) -> dict[str, Path | None]:
        """Return the contenders that are routers, with the checkout of each; None for this one."""
        return routers(self.contenders, self.before)


def available(names: Sequence[str]) -> list[str]:
    """Return the contenders that are installed; say which are not."""
    found = []
    for name in names:
        if missing := CONTENDERS[name].missing():
            note(f"{name} is skipped, {', '.join(missing)} is not installed")
        else:
            found.append(name)
    return found


def measure(plan: Plan) -> Iterator[tuple[str, Figures]]:
    """Yield the figures of each measure, and the part of the run that they belong to."""
    for hops in plan.hops:
        for name in plan.measures:
            if name in MEASURES:
                note(f"{name}, {HOPS[hops]}")
                yield HOPS[hops], _measure(plan, MEASURES[name], hops)
    if "long-path" in plan.measures:
        note("long path")
        yield from _measure_long_path(plan)
    if DATAGRAMS in plan.measures:
        note(DATAGRAMS)
        yield from _measure_datagrams(plan)
    if "standalone" in plan.measures:
        for what, load in ALONE.items():
            note(what)
            yield VAN_STANDALONE, _measure_standalone(plan, load)


def _measure(plan: Plan, measure: Measure, hops: int) -> Figures:
    figures: Figures = {}
    with one_core() if measure.is_on_one_core else nullcontext(), Programs() as programs:
        target = start_server(programs, measure.server)
        if measure.is_fresh:
            _measure_once(plan, measure, target, hops, figures)
        else:
            _measure_in_turn(plan, measure, target, hops, figures)
    return figures


@contextmanager
def one_core() -> Iterator[None]:
    """Let this program, and all that it starts meanwhile, have one processor only."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _measure_in_turn(
    plan: Plan, measure: Measure, target: int, hops: int, figures: Figures
) -> None:
    """Run each load for one contender after the other, and that again and again."""
    with ExitStack() as stack:
        tunnels = dict(_open_all(stack, plan, plan.contenders, target, hops))
        for load in measure.loads:
            for repetition in range(-1, plan.repetitions):
                is_warming_up = repetition < 0
                seconds = min(WARM_UP, plan.seconds) if is_warming_up else plan.seconds
                for name, tunnel in tunnels.items():
                    sample = _attempt(name, partial(load, tunnel, seconds))
                    if not is_warming_up:
                        _add(figures, name, sample)


def _measure_once(plan: Plan, measure: Measure, target: int, hops: int, figures: Figures) -> None:
    """Run each load for one contender after the other, each time with new processes."""
    for load in measure.loads:
        for each in plan.contenders:
            with ExitStack() as stack:
                for name, tunnel in _open_all(stack, plan, [each], target, hops):
                    _add(figures, name, _attempt(name, partial(load, tunnel, plan.seconds)))


def _measure_long_path(plan: Plan) -> Iterator[tuple[str, Figures]]:
    """Yield the figures of each load as it ends: all of them take minutes."""
    for name, sample in long_path.measure(plan.contenders, plan.seconds, plan.before):
        yield LONG_PATH, _told(name, sample)


def _measure_datagrams(plan: Plan) -> Iterator[tuple[str, Figures]]:
    """Yield the figures of each way of datagrams as they come."""
    try:
        for name, sample in datagrams.measure_all(plan.routers, plan.seconds):
            yield DATAGRAMS, _told(name, sample)
    except FAILURES as exc:
        note(f"{DATAGRAMS} failed: {exc!r}")


def _told(name: str, sample: Sample) -> Figures:
    """Return a sample as figures, and tell of it."""
    _tell(name, sample)
    figures: Figures = {}
    _add(figures, name, sample)
    return figures


def _measure_standalone(plan: Plan, load: Standalone) -> Figures:
    figures: Figures = {}
    for _ in range(plan.repetitions):
        for name, checkout in plan.routers.items():
            sample = _attempt(name, partial(load, plan.seconds, checkout=checkout))
            _add(figures, name, sample)
    return figures


def _open_all(
    stack: ExitStack, plan: Plan, names: Sequence[str], target: int, hops: int
) -> Iterator[tuple[str, Tunnel]]:
    """Open the tunnels of contenders; say which can't be opened."""
    for name in names:
        try:
            yield name, stack.enter_context(contender(name, plan.before).open(target, hops))
        except FAILURES as exc:
            note(f"{name} is left out: {exc!r}")


def _attempt(name: str, load: Callable[[], Sample]) -> Sample:
    """Return what came of a load: nothing when it fails, which is said."""
    try:
        sample = load()
    except FAILURES as exc:
        note(f"{name} failed: {exc!r}")
        return {}
    _tell(name, sample)
    return sample


def _tell(name: str, sample: Sample) -> None:
    note(f"{name}: {', '.join(f'{what} {number(value)}' for what, value in sample.items())}")


def _add(figures: Figures, name: str, sample: Sample) -> None:
    for what, value in sample.items():
        figures.setdefault(what, {}).setdefault(name, []).append(value)
