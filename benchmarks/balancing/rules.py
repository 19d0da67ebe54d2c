"""The rules that the simulation compares: the router's own, those of others, and an oracle."""

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar

import attrs

from benchmarks.balancing.simulation import WORKERS, Backend, Job, Memory, Rule, Simulation
from van.balancing.balancer import Balancer
from van.balancing.delay_curve import DelayCurve, Load
from van.balancing.estimate import Candidate
from van.router.egress.targets import REPORT_SPACING

SERVICE = ("tcp", "address")


class RoundRobin(Rule):
    """Each in turn, beginning anywhere."""

    def __init__(self, simulation: Simulation, ingress: int, rng: Random) -> None:
        super().__init__(simulation, ingress, rng)
        self._turn = rng.randrange(len(self.trips))

    def choose(self, job: Job, live: Sequence[int], now: float) -> int:
        """Return the next one."""
        self._turn += 1
        return live[self._turn % len(live)]


class LeastOutstanding(Rule):
    """The one with the fewest requests from here; among equals, any."""

    path_cost: ClassVar[float] = 0.0
    """Of a backend at another site, in requests."""

    def __init__(self, simulation: Simulation, ingress: int, rng: Random) -> None:
        super().__init__(simulation, ingress, rng)
        self.outstanding = [0] * len(self.trips)
        nearest = min(self.trips)
        self._costs = [self.path_cost * (trip > nearest) for trip in self.trips]

    def choose(self, job: Job, live: Sequence[int], now: float) -> int:
        """Return the one where the least is under way."""
        random, costs, outstanding = self.rng.random, self._costs, self.outstanding
        chosen = min(self.among(live), key=lambda each: (outstanding[each] + costs[each], random()))
        outstanding[chosen] += 1
        return chosen

    def among(self, live: Sequence[int]) -> Sequence[int]:
        """Return those that are compared."""
        return live

    def answered(self, job: Job, load: Load | None, now: float) -> None:
        """Count one less."""
        self.outstanding[job.backend] -= 1


class OutstandingAndPath(LeastOutstanding):
    """The same, with the cost of a path on top."""

    path_cost = 1.0


class TwoChoices(LeastOutstanding):
    """The one with fewer requests from here, of two taken at random."""

    def among(self, live: Sequence[int]) -> Sequence[int]:
        """Return two of them."""
        return self.rng.sample(live, min(2, len(live)))


class PeakEwma(Rule):
    """The least product of the requests from here and of a mean delay that follows each peak."""

    memory: ClassVar[float] = 10.0
    """Seconds in which the mean loses a factor of e."""

    def __init__(self, simulation: Simulation, ingress: int, rng: Random) -> None:
        super().__init__(simulation, ingress, rng)
        self._outstanding = [0] * len(self.trips)
        self._cost = [0.0] * len(self.trips)
        self._learned_at = [0.0] * len(self.trips)

    def choose(self, job: Job, live: Sequence[int], now: float) -> int:
        """Return the one of the least product."""
        chosen = min(live, key=lambda each: (self._score(each, now), self.rng.random()))
        self._outstanding[chosen] += 1
        return chosen

    def _score(self, backend: int, now: float) -> float:
        cost = self._cost[backend]
        if not cost:
            # Nothing is known yet: one request is to tell, and others wait for it.
            return math.inf if self._outstanding[backend] else 0.0
        age = now - self._learned_at[backend]
        return cost * math.exp(-age / self.memory) * (self._outstanding[backend] + 1)

    def answered(self, job: Job, load: Load | None, now: float) -> None:
        """Learn how long the answer took."""
        backend, delay = job.backend, now - job.began_at
        self._outstanding[backend] -= 1
        keep = math.exp(-(now - self._learned_at[backend]) / self.memory)
        mean = self._cost[backend] * keep + delay * (1 - keep)
        self._cost[backend] = max(delay, mean)
        self._learned_at[backend] = now


class RecentDelays:
    """The last delays, for each number of requests that were there."""

    def __init__(self) -> None:
        self._recent: dict[int, deque[float]] = {}

    def sample(self, in_flight: float, delay: float) -> None:
        """Keep one."""
        self._recent.setdefault(int(in_flight), deque(maxlen=9)).append(delay)

    def median(self, in_flight: int) -> float:
        """Return the median of those with the most similar number."""
        if not self._recent:
            return 0.0
        nearest = min(self._recent, key=lambda each: abs(each - in_flight))
        delays = sorted(self._recent[nearest])
        return delays[len(delays) // 2]


@attrs.frozen
class Probe:
    """What a backend said to a probe."""

    backend: int
    asked_at: float
    in_flight: int
    delay: float


class Prequal(Rule):
    """Probes three backends with each request; the quickest of those that are not hot.

    Hot are those with more in flight than most of the probes at hand tell of; if all are, the one
    with the fewest. A probe is used once, and not after a second.
    """

    remembers: ClassVar[Callable[[], Memory]] = RecentDelays
    probes: ClassVar[int] = 3
    pool_size: ClassVar[int] = 16
    hot: ClassVar[float] = 0.84

    def __init__(self, simulation: Simulation, ingress: int, rng: Random) -> None:
        super().__init__(simulation, ingress, rng)
        self._pool: list[Probe] = []

    def choose(self, job: Job, live: Sequence[int], now: float) -> int:
        """Use the best probe, and send new ones."""
        for backend in self.rng.sample(live, min(self.probes, len(live))):
            self.simulation.later(now + self.trips[backend] / 2, self._ask, (backend, now))
        self._pool = [each for each in self._pool if each.asked_at > now - 1]
        if len(self._pool) < 2:
            return self.rng.choice(live)
        ordered = sorted(each.in_flight for each in self._pool)
        limit = ordered[min(len(ordered) - 1, int(self.hot * len(ordered)))]
        cold = [each for each in self._pool if each.in_flight < limit]
        if cold:
            best = min(cold, key=lambda each: each.delay + self.trips[each.backend])
        else:
            best = min(self._pool, key=lambda each: each.in_flight)
        self._pool.remove(best)
        return best.backend

    def _ask(self, subject: tuple[int, float], now: float) -> None:
        number, asked_at = subject
        backend = self.simulation.backends[number]
        assert isinstance(backend.memory, RecentDelays)
        count = len(backend.here)
        probe = Probe(number, asked_at, count, backend.memory.median(count))
        self.simulation.later(now + self.trips[number] / 2, self._take, probe)

    def _take(self, probe: Probe, now: float) -> None:
        self._pool.append(probe)
        if len(self._pool) > self.pool_size:
            self._pool.remove(min(self._pool, key=lambda each: each.asked_at))


class Backlog(Rule):
    """The router's own: the very classes that it balances with."""

    remembers: ClassVar[Callable[[], Memory]] = DelayCurve

    def __init__(self, simulation: Simulation, ingress: int, rng: Random) -> None:
        super().__init__(simulation, ingress, rng)
        self._balancer = Balancer(rng)
        self._candidates = [Candidate(str(each), trip) for each, trip in enumerate(self.trips)]
        self._told: dict[Backend, float] = {}

    def choose(self, job: Job, live: Sequence[int], now: float) -> int:
        """Return the first of the ranking."""
        candidates = [self._candidates[each] for each in live]
        chosen = int(self._balancer.rank(SERVICE, candidates, now)[0])
        job.ticket = self._balancer.start(SERVICE, self._candidates[chosen], now)
        self._balancer.request_sent(job.ticket, now)
        return chosen

    def load(self, backend: Backend, now: float) -> Load | None:
        """Return what the egress tells, unless it has just before."""
        if now - self._told.get(backend, -math.inf) < REPORT_SPACING:
            return None
        self._told[backend] = now
        return self.load_of(backend, now)

    def load_of(self, backend: Backend, now: float) -> Load:
        """Return what the egress knows."""
        assert isinstance(backend.memory, DelayCurve)
        return backend.memory.load(len(backend.here), oldest_age=backend.oldest_age(now))

    def opened(self, job: Job, load: Load | None, now: float) -> None:
        """Hand it on."""
        self._balancer.report(job.ticket, load, now)

    def answered(self, job: Job, load: Load | None, now: float) -> None:
        """Hand it on: the first of the answer is the end as well."""
        self._balancer.response_started(job.ticket, now)
        self._balancer.end(job.ticket, now, load)


class Oracle(Rule):
    """Knows all queues, what is on its way, and how long each will take."""

    def choose(self, job: Job, live: Sequence[int], now: float) -> int:
        """Return the one from which the answer comes first."""
        return min(live, key=lambda each: (self._answer_at(each, job, now), self.rng.random()))

    def _answer_at(self, number: int, job: Job, now: float) -> float:
        backend, trip = self.simulation.backends[number], self.trips[number]
        speed = backend.speed
        if speed <= 0:
            return math.inf
        arrival = now + trip / 2
        free = [each.resumed_at + each.left / speed for each in backend.serving]
        free += [now] * (WORKERS - len(free))
        heapq.heapify(free)
        for each in backend.queue:
            heapq.heapreplace(free, free[0] + each.left / speed)
        for each in sorted(backend.coming, key=lambda each: each.reached_at):
            if each.reached_at <= arrival:
                heapq.heapreplace(free, max(free[0], each.reached_at) + each.left / speed)
        return max(free[0], arrival) + job.left / speed + trip / 2


RULES: dict[str, type[Rule]] = {
    "round robin": RoundRobin,
    "least outstanding, own view": LeastOutstanding,
    "own outstanding + path cost": OutstandingAndPath,
    "two random choices": TwoChoices,
    "peak-EWMA": PeakEwma,
    "Prequal": Prequal,
    "van": Backlog,
    "oracle": Oracle,
}
