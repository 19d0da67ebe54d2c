"""How soon requests are answered under the router's rule, under others', and under an oracle's.

`python -m benchmarks.balancing` prints Markdown tables; `--json FILE` keeps the figures, from which
`benchmarks.common.plots` draws. All of it is simulated: see `benchmarks.balancing.simulation`.
"""

import argparse
import bisect
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from benchmarks.balancing.rules import RULES
from benchmarks.balancing.simulation import Outcome, Scenario, Setting, Simulation
from benchmarks.common.reporting import emit, note, number, percentile

SLOWED, JOINED = 5, 11
"""Backends to which something happens."""
THIRDS = 1 / 3, 2 / 3
SETTLE = 0.5
"""Seconds after the onset from which on what is sent to a slow backend counts."""
WINDOW, STEP = 0.5, 0.05
"""Seconds over which a share is taken, and by which that moves on."""
NEAR = 0.2
"""How far from its fair part a share may be."""
SERIES_STEP = 0.25
"""Seconds of each share that is kept for a plot."""

EQUAL = (1.0,) * 12
SCENARIOS = {
    "equal": Scenario(EQUAL),
    "unequal": Scenario((1.0,) * 8 + (0.5,) * 3 + (0.25,)),
    "stall": Scenario(EQUAL, ((THIRDS[0], SLOWED, 1 / 20), (THIRDS[1], SLOWED, 1.0))),
    "freeze": Scenario(EQUAL, ((THIRDS[0], SLOWED, 0.0), (THIRDS[1], SLOWED, 1.0))),
    "join": Scenario(EQUAL, joins={JOINED: THIRDS[0]}),
}
ALONE = "linkerd"
"""One ingress and eleven backends, of which one takes 100 times as long for 30 s of 60."""
ALONE_SCENARIO = Scenario((1.0,) * 11, ((0.25, SLOWED, 1 / 100), (0.75, SLOWED, 1.0)))
ALONE_RATE, ALONE_SECONDS = 1000.0, 60.0

Row = dict[str, Any]


@attrs.frozen
class Case:
    """What one table is about."""

    scenario: str
    load: float
    ingresses: int

    def setting(self, requests: int, seed: int) -> Setting:
        """Return what is to be run."""
        if self.scenario == ALONE:
            count = round(ALONE_RATE * ALONE_SECONDS)
            return Setting(ALONE_SCENARIO, ALONE_RATE, count, self.ingresses, seed)
        scenario = SCENARIOS[self.scenario]
        return Setting(scenario, scenario.rate(self.load), requests, self.ingresses, seed)


def main() -> None:
    """Run all cases under all rules."""
    options = _parse(sys.argv[1:])
    rows: list[Row] = []
    for case in _cases(options):
        found = []
        for rule in options.rules:
            found.append(measure(case, rule, options.requests, options.seeds))
            note(f"{case.scenario} {case.load:.2f} from {case.ingresses}: {rule}")
        _print(case, found)
        rows += found
        if options.json is not None:
            options.json.write_text(json.dumps({"balancing": rows}, indent=1) + "\n")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.balancing", description=__doc__)
    names = [*SCENARIOS, ALONE]
    parser.add_argument("--scenarios", type=_words, default=names, help="such as equal,join")
    parser.add_argument("--rules", type=_words, default=list(RULES), help="such as van,oracle")
    parser.add_argument("--loads", type=_numbers, default=[0.75, 0.9])
    parser.add_argument("--ingresses", type=_numbers, default=[8, 2, 1])
    parser.add_argument("--seeds", type=_numbers, default=[1, 2, 3])
    parser.add_argument("--requests", type=int, default=40_000)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    if unknown := {*options.scenarios} - {*names} | {*options.rules} - RULES.keys():
        parser.error(f"no such scenario or rule: {', '.join(sorted(unknown))}")
    return options


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[float]:
    return [float(word) for word in _words(text)]


def _cases(options: argparse.Namespace) -> Iterator[Case]:
    for scenario in options.scenarios:
        if scenario == ALONE:
            yield Case(ALONE, ALONE_RATE / ALONE_SCENARIO.rate(1.0), 1)
            continue
        for ingresses in options.ingresses:
            # With fewer sites, one scenario tells what there is to tell.
            if ingresses == max(options.ingresses) or scenario == "unequal":
                yield from (Case(scenario, load, int(ingresses)) for load in options.loads)


def measure(case: Case, rule: str, requests: int, seeds: Sequence[float]) -> Row:
    """Run one case under one rule with each seed; return the figures of all runs together."""
    settings = [case.setting(requests, int(seed)) for seed in seeds]
    outcomes = [Simulation(setting, RULES[rule]).run() for setting in settings]
    delays = [delay for outcome in outcomes for delay in outcome.delays]
    row: Row = {"scenario": case.scenario, "load": case.load, "ingresses": case.ingresses}
    row |= {"rule": rule}
    row |= {f"p{part:g}": percentile(delays, part) * 1000 for part in (50, 99, 99.9)}
    if case.scenario == ALONE:
        row["within 1 s, %"] = 100 * sum(delay <= 1 for delay in delays) / len(delays)
    seen = [*map(watched, settings, outcomes)]
    for figure in seen[0]:
        row[figure] = statistics.median(each[figure] for each in seen)
    if seen[0]:
        row["shares"] = _mean_series([*map(_series, settings, outcomes)])
    return row


def watched(setting: Setting, outcome: Outcome) -> Mapping[str, float]:
    """Return what is to be known of the backend to which something happens."""
    scenario, whole = setting.scenario, setting.duration
    for backend, moment in scenario.joins.items():
        since = moment * whole
        fair = _share(outcome, backend, (1 + moment) / 2 * whole, whole)
        first = [_share(outcome, backend, at, at + WINDOW) for at in (since, since + 0.5)]
        return {
            "its share, %": 100 * fair,
            "first s, of its share": statistics.mean(first) / fair if fair else 0.0,
            "until its share, s": _until(outcome, backend, since, fair, whole),
        }
    if not scenario.changes:
        return {}
    (onset, backend, _), (end, _, _) = scenario.changes
    before = _share(outcome, backend, onset / 2 * whole, onset * whole)
    return {
        "sent there, %": 100 * _share(outcome, backend, onset * whole + SETTLE, end * whole),
        "until its share, s": _until(outcome, backend, end * whole, before, whole),
    }


def _share(outcome: Outcome, backend: int, since: float, until: float) -> float:
    """Return the part of the requests of some time that a backend got."""
    begin, end = (bisect.bisect_left(outcome.began, each) for each in (since, until))
    return outcome.backends[begin:end].count(backend) / max(1, end - begin)


def _until(outcome: Outcome, backend: int, since: float, fair: float, whole: float) -> float:
    """Return the seconds until a backend has had a fair share for one window."""
    at = since
    while at + WINDOW <= whole:
        if abs(_share(outcome, backend, at, at + WINDOW) / fair - 1 if fair else 1.0) <= NEAR:
            return at + WINDOW - since
        at += STEP
    return float("inf")


def _series(setting: Setting, outcome: Outcome) -> list[float]:
    """Return the share over time of the backend to which something happens."""
    scenario = setting.scenario
    backend = scenario.changes[0][1] if scenario.changes else JOINED
    count = int(setting.duration / SERIES_STEP)
    return [
        _share(outcome, backend, step * SERIES_STEP, (step + 1) * SERIES_STEP)
        for step in range(count)
    ]


def _mean_series(series: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.mean(shares) for shares in zip(*series, strict=True)]


def _print(case: Case, rows: Sequence[Row]) -> None:
    title = f"{case.scenario}, load {case.load:.2f}, {case.ingresses} ingress sites"
    known = {"scenario", "load", "ingresses", "rule", "shares"}
    figures = [each for each in rows[0] if each not in known]
    best = next((row for row in rows if row["rule"] == "oracle"), None)
    columns = ["ms", *figures] + (["p99 / oracle", "p99.9 / oracle"] if best else [])
    emit(title, columns, [[row["rule"], *_cells(row, figures, best)] for row in rows])


def _cells(row: Row, figures: Sequence[str], best: Row | None) -> list[str]:
    cells = [number(row[each]) if row[each] < float("inf") else "never" for each in figures]
    if best is not None:
        cells += [f"{row[each] / best[each]:.2f}" for each in ("p99", "p99.9")]
    return cells


if __name__ == "__main__":
    main()
