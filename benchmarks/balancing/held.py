"""How flows that are held open are shared, such as those of a chat, or of a database's clients.

`python -m benchmarks.balancing.held` prints Markdown. Each flow asks once and stays, so that a
delay curve has nothing more to tell of it. All is simulated, with the classes that the router uses.
"""

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

import attrs

from benchmarks.balancing.rules import SERVICE, Backlog
from benchmarks.balancing.simulation import (
    Arrival,
    Backend,
    Job,
    Rule,
    Scenario,
    Setting,
    Simulation,
)
from benchmarks.common.reporting import emit
from van.balancing.delay_curve import DelayCurve, Load
from van.balancing.estimate import Candidate
from van.router.egress.backlog import IDLE

JITTER = 0.0002
"""Seconds by which the round trips of equal paths are measured to differ."""
PAUSE = 1.0
"""Seconds between the requests that came before and the flows that stay."""
BURST = 0.05
"""Seconds in which those of a burst come."""
APART = 0.02
"""Seconds between two of those that come one after the other."""
EARLY = 0.2
"""Part of a burst that has come when a backend pauses."""
COUNTS = 30, 94, 300
ROUND_TRIP = 0.001


@attrs.frozen
class Kind:
    """Backends of one kind, and what came there before."""

    speeds: Sequence[float]
    weights: Sequence[int]
    ingresses: int = 1
    before: int = 60
    """Requests that came and went before, at all of them."""
    mean_work: float = 0.002
    pause: float = 0.0
    """Seconds for which the first backend stops, early in the burst."""

    def shares(self) -> list[float]:
        """Return the part that each is to get: by its weight, and by how soon it answers."""
        parts = [
            weight / (ROUND_TRIP + self.mean_work / speed)
            for speed, weight in zip(self.speeds, self.weights, strict=True)
        ]
        return [each / sum(parts) for each in parts]


KINDS = {
    "three equal": Kind((1,) * 3, (1,) * 3),
    "three equal, nothing known": Kind((1,) * 3, (1,) * 3, before=0),
    "three equal, from two sites": Kind((1,) * 3, (1,) * 3, ingresses=2),
    "three equal, nothing known, one pauses": Kind((1,) * 3, (1,) * 3, before=0, pause=0.1),
    "ten equal": Kind((1,) * 10, (1,) * 10, before=200),
    "weights 3, 1, 1": Kind((1,) * 3, (3, 1, 1)),
    "speeds 4, 2, 1": Kind((1, 0.5, 0.25), (1,) * 3, mean_work=0.02),
    "speeds 4, 2, 1, nothing known": Kind((1, 0.5, 0.25), (1,) * 3, before=0, mean_work=0.02),
    "three equal and slow, nothing known": Kind((1,) * 3, (1,) * 3, before=0, mean_work=0.02),
}


@attrs.frozen(kw_only=True)
class HeldSetting(Setting):
    """Requests that come and go, and then flows that stay."""

    before: int
    spread: float
    """Seconds in which the latter come."""
    weights: Sequence[int]

    def arrivals(self) -> Iterator[Arrival]:
        """Yield what comes, always the same."""
        rng = Random(f"held {self.seed}")
        for number in range(self.before):
            yield Arrival(number * APART, number % self.ingresses, self._work(rng))
        begin = self.before * APART + PAUSE
        for when in sorted(rng.uniform(0, self.spread) for _ in range(self.requests)):
            ingress = rng.randrange(self.ingresses)
            yield Arrival(begin + when, ingress, self._work(rng), stays=True)

    def _work(self, rng: Random) -> float:
        """Return the work of one: mostly the same, at times more, as on a busy machine."""
        return self.mean_work * (0.8 + rng.expovariate(5))


class HeldBacklog(Backlog):
    """The router's own rule, where flows stay."""

    def __init__(self, simulation: Simulation, ingress: int, rng: Random) -> None:
        super().__init__(simulation, ingress, rng)
        setting = simulation.setting
        assert isinstance(setting, HeldSetting)
        self._weights = setting.weights
        self._candidates = [
            Candidate(each.site, each.round_trip + rng.uniform(0, JITTER), weight)
            for each, weight in zip(self._candidates, self._weights, strict=True)
        ]

    def load_of(self, backend: Backend, now: float) -> Load:
        """Return what the egress knows, by the target's weight."""
        assert isinstance(backend.memory, DelayCurve)
        in_flight = len(backend.here) + IDLE * backend.staying
        load = backend.memory.load(in_flight, oldest_age=backend.oldest_age(now))
        weight = self._weights[self.simulation.backends.index(backend)]
        return Load(
            load.in_flight, load.expected_delay / weight, load.expected_delay_deeper / weight
        )

    def answered(self, job: Job, load: Load | None, now: float) -> None:
        """Keep what stays."""
        if not job.stays:
            super().answered(job, load, now)
            return
        self.simulation.backends[job.backend].staying += 1
        self._balancer.response_started(job.ticket, now)

    def held(self) -> Counter[int]:
        """Return the flows that are held from here, by backend."""
        found = self._balancer.outstanding(SERVICE)
        return Counter({int(site): count for site, count in found.items()})


class Answered(Rule):
    """An oracle that knows only what has been answered so far, and that flows stay.

    One answer tells it exactly how soon a backend answers; one that has not answered yet is as
    soon as the soonest that has, or takes as long as its oldest request waits by now.
    """

    def __init__(self, simulation: Simulation, ingress: int, rng: Random) -> None:
        super().__init__(simulation, ingress, rng)
        setting = simulation.setting
        assert isinstance(setting, HeldSetting)
        self._weights = setting.weights
        self._means = [
            trip + setting.mean_work / speed
            for trip, speed in zip(self.trips, setting.scenario.speeds, strict=True)
        ]
        self._flows = [0] * len(self.trips)
        self._waiting: list[dict[Job, None]] = [{} for _ in self.trips]
        self._has_answered = [False] * len(self.trips)

    def choose(self, job: Job, live: Sequence[int], now: float) -> int:
        """Return the one that has fewest flows for what is known of it."""
        known = [self._means[each] for each in live if self._has_answered[each]]
        soonest = min(known, default=0.0)

        def burden(number: int) -> tuple[float, float]:
            answer = self._means[number]
            if not self._has_answered[number]:
                oldest = next(iter(self._waiting[number]), None)
                answer = max(soonest, now - oldest.began_at) if oldest and known else soonest or 1.0
            return (self._flows[number] + 1) * answer / self._weights[number], self.rng.random()

        chosen = min(live, key=burden)
        self._flows[chosen] += 1
        self._waiting[chosen][job] = None
        return chosen

    def answered(self, job: Job, load: Load | None, now: float) -> None:
        """Know of one more."""
        self._has_answered[job.backend] = True
        del self._waiting[job.backend][job]
        self._flows[job.backend] -= not job.stays


def shares(
    kind: Kind, count: int, seed: int, *, is_burst: bool, rule: type[Rule] = HeldBacklog
) -> list[float]:
    """Return how many times its part each backend got of so many flows."""
    spread = BURST if is_burst else count * APART
    setting = HeldSetting(
        scenario=Scenario(kind.speeds, _pause(kind, count, spread)),
        rate=1.0,
        requests=count,
        ingresses=kind.ingresses,
        seed=seed,
        mean_work=kind.mean_work,
        trips=(ROUND_TRIP, ROUND_TRIP),
        before=kind.before,
        spread=spread,
        weights=kind.weights,
    )
    outcome = Simulation(setting, rule).run()
    held = Counter(outcome.backends[kind.before :])
    return [held[number] / (part * count) for number, part in enumerate(kind.shares())]


def _pause(kind: Kind, count: int, spread: float) -> Sequence[tuple[float, int, float]]:
    """Return when the first backend stops, and goes on; in parts of the setting's duration."""
    if not kind.pause:
        return ()
    stops = kind.before * APART + PAUSE + EARLY * spread
    speed = kind.speeds[0]
    return ((stops / count, 0, 0.0), ((stops + kind.pause) / count, 0, speed))


def worst(
    kind: Kind, count: int, seed: int, *, is_burst: bool, rule: type[Rule] = HeldBacklog
) -> float:
    """Return how far the backend that is furthest from its part is from that."""
    return max(abs(each - 1) for each in shares(kind, count, seed, is_burst=is_burst, rule=rule))


def main() -> None:
    """Run all kinds, and print how far from its part any backend is."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.balancing.held", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args(sys.argv[1:])
    columns = ["furthest from its part, %"]
    columns += [f"{count} {how}" for how in ("at once", "in turn") for count in COUNTS]
    rows = []
    for name, kind in KINDS.items():
        cells = [
            " ".join(_figures(kind, count, options.seeds, is_burst=is_burst))
            for is_burst in (True, False)
            for count in COUNTS
        ]
        rows.append([name, *cells])
    emit("flows that are held, and by an oracle of what was answered", columns, rows)


def _figures(kind: Kind, count: int, seeds: int, *, is_burst: bool) -> Iterator[str]:
    """Yield what the rule reaches, and the oracle in brackets."""
    for rule, text in ((HeldBacklog, "{:.0f}"), (Answered, "({:.0f})")):
        found = [worst(kind, count, seed, is_burst=is_burst, rule=rule) for seed in range(seeds)]
        yield text.format(100 * statistics.median(found))


if __name__ == "__main__":
    main()
