"""Connectors: each attaches a target to an address, and knows the instances that are behind it.

A target is a local endpoint, a unix socket, or a host name, behind whose every address there is an
instance. An instance that refuses is not used, and not told of, until it answers again.
"""

import errno
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import attrs
import trio

from van.balancing.delay_curve import DelayCurve, Load
from van.config import ConnectorConfig
from van.control.values.attachments import ConnectorStatus
from van.names import Endpoint, Target
from van.router.flow.observer import ExchangeObserver
from van.router.flow.table import Flow
from van.router.reactor import sockets
from van.router.reactor.limits import Limits
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import NO_REPORT, Report

LOOK_INTERVAL: Final = 0.5
"""Seconds between two looks at which flows do something; new ones count as busy until then."""
BUSY: Final = 1.0
IDLE: Final = 0.1
"""Share of a flow that has been quiet: most likely it will ask again, at some time."""
SPACING: Final = 0.0025
"""Seconds between two requests that are followed: at more than four hundred a second the curve is
well known from some of them, and to follow one costs as much as a tenth of carrying it."""
SHORT_LIFE: Final = 1.0
"""Seconds: a flow that lived no longer has most likely carried one request."""
MAX_INSTANCES: Final = 64
"""Addresses of one host name that are used."""


@attrs.define(eq=False)
class Instance:
    """One process that serves an address, and the work that waits there for it."""

    connector: "Connector"
    place: Target
    failure: str = ""
    """Why it refused the last connection, or did not pass the last check; empty when it is well."""
    is_tried: bool = False
    """Whether a task is trying at present when it will be well again."""
    curve: DelayCurve = attrs.field(factory=DelayCurve)
    followed_at: float = 0.0
    """When a request was followed last."""
    _flows: dict[Flow, None] = attrs.field(factory=dict)
    _waiting: dict[Flow, float] = attrs.field(factory=dict)
    """Flows with a request that was not answered yet, the oldest first, and since when."""
    _work: float = 0.0
    _looked_at: float = 0.0

    @property
    def flows(self) -> int:
        """Return how many flows it has."""
        return len(self._flows)

    def began(self, flow: Flow) -> None:
        """Count a flow; each call is paired with one of `ended`."""
        self._flows[flow] = None
        flow.share = BUSY
        self._work += BUSY

    def ended(self, flow: Flow) -> None:
        """Count a flow no more."""
        del self._flows[flow]
        self._waiting.pop(flow, None)
        self._work = self._work - flow.share if self._flows else 0.0

    def request_sent(self, flow: Flow, now: float) -> float:
        """Take note of a request; return how many pieces of work it finds there."""
        self.followed_at = now
        found = self.work(now) - flow.share
        self._work += BUSY - flow.share
        flow.share = BUSY
        self._waiting[flow] = now
        return max(0.0, found)

    def response_started(self, flow: Flow, found: float, now: float) -> None:
        """Take note of the first answer to a request that found so many pieces of work there."""
        asked_at = self._waiting.pop(flow, None)
        if asked_at is not None:
            self.curve.sample(found, now - asked_at)

    def request_abandoned(self, flow: Flow) -> None:
        """Take note that a request is waited for no more: it, or its answer, was lost."""
        self._waiting.pop(flow, None)

    def work(self, now: float) -> float:
        """Return the work in flight: a flow that does something counts in full."""
        if now - self._looked_at > LOOK_INTERVAL:
            self._look(now)
        return self._work

    def expected(self, more: float, now: float) -> float:
        """Return the delay in seconds to expect with so many more in flight, by its weight."""
        return self.curve.expected(self.work(now) + more) / self.connector.config.weight

    def load(self, now: float) -> Load:
        """Return what is told of it."""
        oldest = next(iter(self._waiting.values()), now)
        load = self.curve.load(self.work(now), oldest_age=now - oldest)
        weight = self.connector.config.weight
        if weight == 1:
            return load
        return Load(
            load.in_flight, load.expected_delay / weight, load.expected_delay_deeper / weight
        )

    def _look(self, now: float) -> None:
        self._looked_at = now
        work = 0.0
        for flow in self._flows:
            passed = sum(flow.carrying.meter()) if flow.carrying is not None else 0
            is_busy = passed != flow.passed or flow in self._waiting
            flow.passed = passed
            flow.share = BUSY if is_busy else IDLE
            work += flow.share
        self._work = work


class Served(ExchangeObserver):
    """One flow at an instance, for what carries it there."""

    __slots__ = (
        "_began_at", "_flow", "_found", "_has_asked", "_is_followed", "_is_over", "_last",
        "_report", "instance",
    )  # fmt: skip

    def __init__(self, instance: Instance, flow: Flow, report: Callable[[], Report]) -> None:
        self.instance = instance
        self._flow = flow
        self._began_at = time.monotonic()
        self._found = instance.work(self._began_at)
        self._has_asked = False
        self._is_followed = False
        self._report = report
        self._is_over = False
        instance.began(flow)
        self._last = report()

    def request_sent(self) -> None:
        """Take note that the client has sent something, to which there is no answer yet."""
        self._has_asked = True
        now = time.monotonic()
        if now >= self.instance.followed_at + SPACING or self._flow.share != BUSY:
            self._is_followed = True
            self._found = self.instance.request_sent(self._flow, now)

    def response_started(self) -> None:
        """Take note of the first of the answer."""
        if self._is_followed:
            self._is_followed = False
            self.instance.response_started(self._flow, self._found, time.monotonic())

    def request_abandoned(self) -> None:
        """Take note that no answer is waited for any more."""
        self._is_followed = False
        self.instance.request_abandoned(self._flow)

    def last_report(self) -> Report:
        """Return what was reported of the address when the flow began."""
        return self._last

    def over(self) -> Report:
        """Count the flow no more, and return what is reported of the address now."""
        if not self._is_over:
            self._is_over = True
            self._learn_from_life()
            self.instance.ended(self._flow)
            self._last = self._report()
        return self._last

    def _learn_from_life(self) -> None:
        """Take how long it lived for the delay, where nobody saw it ask: within a site nobody does.

        A target that ends a flow without a word is not quick, and teaches nothing.
        """
        lived = time.monotonic() - self._began_at
        carrying = self._flow.carrying
        if not self._has_asked and lived <= SHORT_LIFE and carrying and carrying.meter()[1]:
            self.instance.curve.sample(self._found, lived)


class ServedByAll(ExchangeObserver):
    """One flow at several instances, each of which gets a copy; nothing is learnt from it."""

    def __init__(self, flow: Flow) -> None:
        self.instances: list[Instance] = []
        self._flow = flow
        self._is_over = False

    def add(self, instance: Instance) -> None:
        """Count the flow at one more."""
        self.instances.append(instance)
        instance.began(self._flow)

    def last_report(self) -> Report:
        """Return what says nothing."""
        return NO_REPORT

    def over(self) -> Report:
        """Count the flow no more."""
        if not self._is_over:
            self._is_over = True
            for instance in self.instances:
                instance.ended(self._flow)
        return NO_REPORT


@attrs.define(eq=False)
class Connector:
    """One target of an address."""

    config: ConnectorConfig
    is_allowed: bool
    is_draining: bool = False
    """Whether it takes no new flow, and goes when it has none left."""
    trouble: str = ""
    """What is the matter with the host name; empty when there is none, or it has been found."""
    _scopes: set[trio.CancelScope] = attrs.field(factory=set)
    """Of the tasks that look after it."""
    instances: list[Instance] = attrs.field(init=False)
    service: ServiceKey = attrs.field(init=False)
    """The address that the target serves."""
    target: str = attrs.field(init=False)
    """The target, for people."""

    @instances.default
    def _instances_default(self) -> list[Instance]:
        target = self.config.target
        return [] if self.is_named else [Instance(self, target)]

    @service.default
    def _service_default(self) -> ServiceKey:
        return (self.config.protocol, str(self.config.address))

    @target.default
    def _target_default(self) -> str:
        return str(self.config.target)

    @property
    def is_named(self) -> bool:
        """Tell whether the target is a host name, which has to be looked up now and then."""
        target = self.config.target
        return isinstance(target, Endpoint) and not _is_literal(target.host)

    @property
    def flows(self) -> int:
        """Return how many flows the target has."""
        return sum(each.flows for each in self.instances)

    @property
    def failure(self) -> str:
        """Return why no instance is well; empty when one is."""
        if not self.instances:
            return self.trouble or "its host name has not been looked up yet"
        failures = [each.failure for each in self.instances]
        return "" if "" in failures else failures[0]

    @property
    def is_ready(self) -> bool:
        """Tell whether it takes new flows."""
        return self.is_allowed and not self.is_draining and not self.failure

    def ready_instances(self) -> Iterable[Instance]:
        """Yield the instances that new flows may go to."""
        return (each for each in self.instances if not each.failure)

    def resolved(self, places: Iterable[Target]) -> bool:
        """Take where the host name leads now; tell whether that is new.

        An instance whose address is no longer there ends the flows that it has in its own time.
        """
        known = {each.place: each for each in self.instances}
        wanted = list(dict.fromkeys(places))[:MAX_INSTANCES]
        self.instances = [known.get(place) or Instance(self, place) for place in wanted]
        return set(wanted) != known.keys()

    async def look_after(self, keep: Callable[["Connector"], Awaitable[None]]) -> None:
        """Run a task that looks after it, until it is drained."""
        if self.is_draining:
            return
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            await keep(self)
        self._scopes.discard(scope)

    def drain(self) -> None:
        """Take no new flows, and be looked after no more."""
        self.is_draining = True
        for scope in self._scopes:
            scope.cancel()

    def status(self) -> ConnectorStatus:
        """Return the connector as the control API shows it."""
        state, detail = "ready", ""
        if not self.is_allowed:
            state, detail = "not allowed", "this site's certificate does not allow the address"
        elif self.is_draining:
            state, detail = "draining", "it takes no new flows"
        elif self.failure:
            state, detail = "failing", _describe_failure(self)
        now = time.monotonic()
        ready = list(self.ready_instances())
        delays = [each.curve.expected(each.work(now)) for each in ready]
        return ConnectorStatus(
            address=str(self.config.address),
            protocol=self.config.protocol,
            target=self.target,
            state=state,
            detail=detail,
            flows=self.flows,
            distribution=self.config.distribution.name.lower(),
            weight=self.config.weight,
            precedence=self.config.precedence,
            instances=len(ready),
            in_flight=sum(each.work(now) for each in self.instances),
            expected_delay_ms=min(delays) * 1000 if delays else None,
        )


def _describe_failure(connector: Connector) -> str:
    if connector.trouble:
        return connector.trouble
    return f"the target refuses: {connector.failure}"


def connect_at_once(instance: Instance) -> socket.socket | None:
    """Connect to an instance if that needs no waiting; after None, `connect` says why not."""
    return sockets.connect_at_once(instance.place)


async def connect(instance: Instance, limits: Limits) -> socket.socket:
    """Connect to an instance; raise `OSError`."""
    try:
        return await sockets.connect(instance.place, timeout=limits.connect_timeout)
    except trio.TooSlowError as exc:
        raise TimeoutError(errno.ETIMEDOUT, f"no answer in {limits.connect_timeout:.0f} s") from exc


def _is_literal(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


def place_of(sockaddr: tuple[str, int]) -> Endpoint:
    """Return where a looked-up address is."""
    return Endpoint(sockaddr[0], sockaddr[1])
