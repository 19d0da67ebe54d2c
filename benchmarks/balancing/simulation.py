"""A discrete-event simulation of backends, and of the ingress sites that share them.

Requests arrive at random, find their way to a backend, wait in its queue for a free worker, and
their answers go back. When a request arrives, and how much work it is, depends on its number and on
the seed alone: every rule serves the same work. Times are seconds.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Protocol

import attrs

from van.balancing.delay_curve import Load

MEAN_WORK = 0.02
"""Seconds of a worker at full speed."""
WORKERS = 4
LOCAL, REMOTE = 0.001, 0.03
"""Round trips to a backend at the ingress's own site, and at another one."""


class Memory(Protocol):
    """What a backend learns from the work that it has done."""

    def sample(self, in_flight: float, delay: float) -> None:
        """Learn how long one took that found so many in flight."""


@attrs.frozen
class Scenario:
    """Backends, and what becomes of them. Moments are parts of the time in which requests come."""

    speeds: Sequence[float]
    """Of each backend; 1 is full speed."""
    changes: Sequence[tuple[float, int, float]] = ()
    """Moments at which a backend takes on another speed."""
    joins: Mapping[int, float] = attrs.field(factory=dict)
    """Backends that are not there from the beginning."""

    def rate(self, load: float, mean_work: float = MEAN_WORK) -> float:
        """Return the requests a second that make a load of all workers there are in the end."""
        return load * sum(self.speeds) * WORKERS / mean_work


@attrs.frozen
class Setting:
    """One run: what comes to whom."""

    scenario: Scenario
    rate: float
    """Requests a second, at all sites together."""
    requests: int
    ingresses: int
    seed: int
    mean_work: float = MEAN_WORK
    """Seconds of a worker at full speed."""
    trips: tuple[float, float] = (LOCAL, REMOTE)
    """Round trips to a backend at the ingress's own site, and at another one."""

    def arrivals(self) -> Iterator["Arrival"]:
        """Yield what comes, always the same."""
        arrivals, works = Random(f"arrivals {self.seed}"), Random(f"works {self.seed}")
        when = 0.0
        for _ in range(self.requests):
            when += arrivals.expovariate(self.rate)
            ingress = arrivals.randrange(self.ingresses)
            yield Arrival(when, ingress, works.expovariate(1 / self.mean_work))

    @property
    def duration(self) -> float:
        """Return the seconds in which requests come."""
        return self.requests / self.rate


@attrs.frozen
class Arrival:
    """A request that comes at a time to an ingress; its work is in seconds at full speed."""

    when: float
    ingress: int
    work: float
    stays: bool = False
    """Whether its flow is held open once it is answered."""


@attrs.define(eq=False, slots=True)
class Job:
    """One request."""

    ingress: int
    began_at: float
    left: float
    """Seconds of work at full speed that are left."""
    backend: int = -1
    reached_at: float = 0.0
    found: int = 0
    """Requests that were at the backend when it came there."""
    resumed_at: float = 0.0
    """Since when `left` is what is left."""
    stays: bool = False
    attempt: int = 0
    """Changes with the speed, so that the end that was foreseen before does not count."""
    ticket: Any = None
    """What the rule wants to remember."""


@attrs.define(eq=False)
class Backend:
    """Workers with one queue, served in the order of arrival."""

    speed: float
    memory: Memory | None
    queue: deque[Job] = attrs.field(factory=deque)
    serving: dict[Job, None] = attrs.field(factory=dict)
    here: dict[Job, None] = attrs.field(factory=dict)
    """All that are there, the oldest first."""
    coming: list[Job] = attrs.field(factory=list)
    """Those on their way."""
    staying: int = 0
    """Flows that are held open, and have been answered."""

    def oldest_age(self, now: float) -> float:
        """Return how long the oldest request has been there."""
        return now - next(iter(self.here)).reached_at if self.here else 0.0


class Rule:
    """How one ingress chooses; a rule that learns more than others overrides more."""

    remembers: ClassVar[Callable[[], Memory] | None] = None
    """Makes what a backend learns for this rule."""

    def __init__(self, simulation: "Simulation", ingress: int, rng: Random) -> None:
        self.simulation = simulation
        self.ingress = ingress
        self.rng = rng
        self.trips = [
            simulation.round_trip(ingress, backend) for backend in range(len(simulation.backends))
        ]

    def choose(self, job: Job, live: Sequence[int], now: float) -> int:
        """Return the backend that gets a request, one of `live`."""
        raise NotImplementedError

    def load(self, backend: Backend, now: float) -> Load | None:
        """Return what a backend tells with OPENED, and with the end."""
        return None

    def opened(self, job: Job, load: Load | None, now: float) -> None:
        """Take what was told when the request came to the backend."""

    def answered(self, job: Job, load: Load | None, now: float) -> None:
        """Take note of an answer."""


@attrs.define
class Outcome:
    """What became of each request, in the order in which they began."""

    began: list[float] = attrs.field(factory=list)
    backends: list[int] = attrs.field(factory=list)
    delays: list[float] = attrs.field(factory=list)


class Simulation:
    """Runs one setting under one rule."""

    def __init__(self, setting: Setting, rule: type[Rule]) -> None:
        self.setting = setting
        scenario = setting.scenario
        learn = rule.remembers
        self.backends = [Backend(speed, learn and learn()) for speed in scenario.speeds]
        self.live = [each for each in range(len(self.backends)) if each not in scenario.joins]
        self._events: list[tuple[float, int, Callable[[Any, float], None], Any]] = []
        self._number = 0
        self._arrivals = setting.arrivals()
        self._jobs: list[Job] = []
        self._delays: dict[Job, float] = {}
        self._rules = [
            rule(self, ingress, Random(f"rule {setting.seed} {ingress}"))
            for ingress in range(setting.ingresses)
        ]
        for moment, backend, speed in scenario.changes:
            self.later(moment * setting.duration, self._change, (backend, speed))
        for backend, moment in scenario.joins.items():
            self.later(moment * setting.duration, self._join, backend)

    def round_trip(self, ingress: int, backend: int) -> float:
        """Return the seconds there and back: backends are dealt out to the sites in turn."""
        local, remote = self.setting.trips
        return local if backend % self.setting.ingresses == ingress else remote

    def later(self, when: float, action: Callable[[Any, float], None], subject: Any) -> None:
        """Call an action with a subject and the time, when that comes."""
        self._number += 1
        heapq.heappush(self._events, (when, self._number, action, subject))

    def run(self) -> Outcome:
        """Let all requests come, and wait for the last answer."""
        self._next()
        events = self._events
        while events:
            now, _, action, subject = heapq.heappop(events)
            action(subject, now)
        outcome = Outcome()
        for job in self._jobs:
            outcome.began.append(job.began_at)
            outcome.backends.append(job.backend)
            outcome.delays.append(self._delays[job])
        return outcome

    def _next(self) -> None:
        arrival = next(self._arrivals, None)
        if arrival is not None:
            job = Job(arrival.ingress, arrival.when, arrival.work, stays=arrival.stays)
            self._jobs.append(job)
            self.later(arrival.when, self._begin, job)

    def _begin(self, job: Job, now: float) -> None:
        rule = self._rules[job.ingress]
        job.backend = rule.choose(job, self.live, now)
        job.reached_at = now + rule.trips[job.backend] / 2
        self.backends[job.backend].coming.append(job)
        self.later(job.reached_at, self._reach, job)
        self._next()

    def _reach(self, job: Job, now: float) -> None:
        backend = self.backends[job.backend]
        backend.coming.remove(job)
        job.found = len(backend.here)
        backend.here[job] = None
        if len(backend.serving) < WORKERS:
            self._serve(backend, job, now)
        else:
            backend.queue.append(job)
        rule = self._rules[job.ingress]
        load = rule.load(backend, now)
        self.later(now + rule.trips[job.backend] / 2, self._opened, (job, load))

    def _serve(self, backend: Backend, job: Job, now: float) -> None:
        backend.serving[job] = None
        job.resumed_at = now
        if backend.speed > 0:
            self.later(now + job.left / backend.speed, self._done, (job, job.attempt))

    def _done(self, subject: tuple[Job, int], now: float) -> None:
        job, attempt = subject
        if attempt != job.attempt:
            return
        backend = self.backends[job.backend]
        del backend.serving[job]
        del backend.here[job]
        if backend.queue:
            self._serve(backend, backend.queue.popleft(), now)
        if backend.memory is not None:
            backend.memory.sample(job.found, now - job.reached_at)
        rule = self._rules[job.ingress]
        load = rule.load(backend, now)
        self.later(now + rule.trips[job.backend] / 2, self._answered, (job, load))

    def _opened(self, subject: tuple[Job, Load | None], now: float) -> None:
        job, load = subject
        self._rules[job.ingress].opened(job, load, now)

    def _answered(self, subject: tuple[Job, Load | None], now: float) -> None:
        job, load = subject
        self._delays[job] = now - job.began_at
        self._rules[job.ingress].answered(job, load, now)

    def _change(self, subject: tuple[int, float], now: float) -> None:
        """Give a backend another speed; what is being served goes on at that."""
        number, speed = subject
        backend = self.backends[number]
        for job in backend.serving:
            job.left = max(0.0, job.left - backend.speed * (now - job.resumed_at))
            job.attempt += 1
        backend.speed = speed
        for job in backend.serving:
            self._serve(backend, job, now)

    def _join(self, backend: int, now: float) -> None:
        self.live = sorted([*self.live, backend])
