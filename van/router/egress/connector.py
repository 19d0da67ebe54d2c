"""Connectors: each attaches a target to an address, and knows the instances that are behind it.

A target is a local endpoint, a unix socket, or a host name, behind whose every address there is an
instance. An instance that refuses is not used, and not told of, until it answers again.
"""

import errno
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import attrs
import trio

from van.balancing.delay_curve import Load
from van.config import ConnectorConfig
from van.control.values.attachments import ConnectorStatus
from van.names import Endpoint, Target
from van.router.egress.backlog import Backlog
from van.router.reactor import connecting
from van.router.reactor.limits import Limits
from van.routing.paths.service_index import ServiceKey

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
    backlog: Backlog = attrs.field(factory=Backlog)

    def expected(self, more: float, now: float) -> float:
        """Return the delay in seconds to expect with so many more in flight, by its weight."""
        return self.backlog.expected(more, now) / self.connector.config.weight

    def load(self, now: float) -> Load:
        """Return what is told of it."""
        load = self.backlog.load(now)
        weight = self.connector.config.weight
        if weight == 1:
            return load
        return Load(
            load.in_flight, load.expected_delay / weight, load.expected_delay_deeper / weight
        )


@attrs.define(eq=False)
class Connector:
    """One target of an address."""

    config: ConnectorConfig
    is_allowed: bool
    since: int = 0
    """Unix time at which it was exposed."""
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
        return sum(each.backlog.flows for each in self.instances)

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

    def status(self, now: float) -> ConnectorStatus:
        """Return the connector as the control API shows it, at a time of the loop's clock."""
        state, detail = "ready", ""
        if not self.is_allowed:
            state, detail = "not allowed", "this site's certificate does not allow the address"
        elif self.is_draining:
            state, detail = "draining", "it takes no new flows"
        elif self.failure:
            state, detail = "failing", _describe_failure(self)
        ready = list(self.ready_instances())
        delays = [each.backlog.expected(0.0, now) for each in ready]
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
            in_flight=sum(each.backlog.work(now) for each in self.instances),
            expected_delay_ms=min(delays) * 1000 if delays else None,
        )


def _describe_failure(connector: Connector) -> str:
    if connector.trouble:
        return connector.trouble
    return f"the target refuses: {connector.failure}"


def connect_at_once(instance: Instance) -> socket.socket | None:
    """Connect to an instance if that needs no waiting; after None, `connect` says why not."""
    return connecting.connect_at_once(instance.place)


async def connect(instance: Instance, limits: Limits) -> socket.socket:
    """Connect to an instance; raise `OSError`."""
    try:
        return await connecting.connect(instance.place, timeout=limits.connect_timeout)
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
