"""Connectors: each attaches a target to an address, and knows the instances that are behind it.

A target is a local endpoint, a unix socket, or a host name, behind whose every address there is an
instance. One that refuses, or was never found to be there, is not used, and not told of, until it
answers.
"""

import enum
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import attrs
import trio

from van.config import ConnectorConfig
from van.control.values.attachments import ConnectorStatus
from van.names import Endpoint, Target
from van.router.egress.connecting import answering
from van.router.egress.instance import Condition, Instance
from van.router.reactor.loopback import is_ambiguous
from van.router.site.access import Access
from van.routing.paths.service_index import ServiceKey
from van.tls.identity import SiteIdentity

MAX_INSTANCES: Final = 64
"""Addresses of one host name that are used."""


class Readiness(enum.Enum):
    """How a connector stands, as all its instances together do."""

    READY = "ready"
    SLOW = "slow"
    """None of its instances is well, and one takes its time."""
    UNKNOWN = "unknown"
    """None has been found to be there, or not, since the router started."""
    FAILING = "failing"
    DRAINING = "draining"
    NOT_ALLOWED = "not allowed"


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
        """Tell whether the target is a host name, which has to be looked up now and then.

        Of `localhost` it is seen with each connection which loopback takes it, but not over UDP.
        """
        target = self.config.target
        if is_ambiguous(target):
            return self.config.protocol == "udp"
        return isinstance(target, Endpoint) and not _is_literal(target.host)

    @property
    def flows(self) -> int:
        """Return how many flows the target has."""
        return sum(each.backlog.flows for each in self.instances)

    @property
    def readiness(self) -> Readiness:
        """Return how it stands."""
        if not self.is_allowed:
            return Readiness.NOT_ALLOWED
        if self.is_draining:
            return Readiness.DRAINING
        found = {each.condition for each in self.instances}
        if Condition.WELL in found:
            return Readiness.READY
        if Condition.SLOW in found:
            return Readiness.SLOW
        is_failing = self.trouble if not found else Condition.FAILING in found
        return Readiness.FAILING if is_failing else Readiness.UNKNOWN

    @property
    def detail(self) -> str:
        """Return why it does not stand well; empty when it does."""
        match self.readiness:
            case Readiness.READY:
                return ""
            case Readiness.NOT_ALLOWED:
                return "this site's certificate does not allow the address"
            case Readiness.DRAINING:
                return "it takes no new flows"
        if not self.instances:
            return self.trouble or "its host name has not been looked up yet"
        worst = max(self.instances, key=lambda each: each.is_usable)
        return worst.why or "it has not been looked at yet"

    @property
    def whereabouts(self) -> str:
        """Return which address of this machine is used, where the target leaves that open."""
        target = self.config.target
        if not is_ambiguous(target) or self.readiness is not Readiness.READY:
            return ""
        if self.is_named:
            return f"sent to {self.instances[0].place}"
        return f"{answering(target)} answers"

    @property
    def is_ready(self) -> bool:
        """Tell whether it takes new flows."""
        return bool(self.ready_instances())

    def lets_in(self, source: SiteIdentity | None, access: Access) -> bool:
        """Tell whether a site may reach it; None is this site."""
        if source is None or access.is_open_to_all(self.config.allow_from):
            return True
        return not access.why_not(source, self.service[1], self.config.allow_from)

    def ready_instances(self) -> list[Instance]:
        """Return the instances that new flows may go to."""
        # For every flow, so that it is not asked what exactly the readiness is.
        if self.is_draining or not self.is_allowed:
            return []
        return [each for each in self.instances if each.condition.is_usable]

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

    def change(self, config: ConnectorConfig) -> None:
        """Have another configuration of the same target from now on; its flows stay."""
        self.config = config

    def drain(self) -> None:
        """Take no new flows, and be looked after no more."""
        self.is_draining = True
        for scope in self._scopes:
            scope.cancel()

    def status(self, now: float) -> ConnectorStatus:
        """Return the connector as the control API shows it, at a time of the loop's clock."""
        ready = [each for each in self.instances if each.is_usable]
        delays = [each.backlog.expected(0.0, now) for each in ready]
        return ConnectorStatus(
            address=str(self.config.address),
            protocol=self.config.protocol,
            target=self.target,
            state=self.readiness.value,
            detail=self.detail or self.whereabouts,
            flows=self.flows,
            distribution=self.config.distribution.name.lower(),
            weight=self.config.weight,
            precedence=self.config.precedence,
            connect_timeout=self.config.connect_timeout,
            proxy_protocol=self.config.proxy_protocol,
            allow_from=self.config.allow_from,
            instances=len(ready),
            in_flight=sum(each.backlog.work(now) for each in self.instances),
            expected_delay_ms=min(delays) * 1000 if delays else None,
        )


def _is_literal(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
