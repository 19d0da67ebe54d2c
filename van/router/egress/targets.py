"""The targets of a site: which instances serve an address, how busy they are, how to get there."""

import heapq
import math
import random
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

from van.balancing.delay_curve import DEEPER, Load
from van.balancing.sharing import in_order
from van.errors import LocalError
from van.names import Address
from van.router.egress.connecting import Begun, begin
from van.router.egress.connector import Connector
from van.router.egress.health import Health
from van.router.egress.instance import ALL_WELL, Finding, Instance, Verdict, judge
from van.router.egress.race import Race, TargetRefused, refusal_of
from van.router.flow.datagram_socket import connect_target
from van.router.flow.flow import Flow
from van.router.reactor.limits import Limits
from van.router.site.access import Access
from van.routing.paths.service_index import ServiceKey
from van.tls.identity import SiteIdentity
from van.wire.channel import Reason, Report
from van.wire.lsa import MAX_ALLOWED, MAX_WEIGHT, Service

REPORT_SPACING: Final = 0.001
"""Seconds between two reports of an address to the same site: to make one and to take it is a tenth
of a flow that is soon over, and what one tells has been on its way for about as long."""


class Targets:
    """Holds the connectors; chooses among the instances behind them, and connects to these.

    In the event loop's thread. Who connects counts the flow with a `Served`, which tells how it
    goes; a connector that is removed stays until its last flow has left.
    """

    def __init__(
        self, health: Health, limits: Limits, clock: Callable[[], float], access: Access
    ) -> None:
        self.connectors: dict[Connector, None] = {}
        self.clock = clock
        """Tells the time, for what counts work."""
        self._access = access
        self._limits = limits
        self._health = health
        self._by_service: dict[ServiceKey, list[Connector]] = {}
        self._told: dict[tuple[ServiceKey, str], float] = {}
        """When each site was told last how busy an address is."""
        self._rng = random.Random()

    def add(self, connector: Connector) -> None:
        """Serve a target from now on."""
        self.connectors[connector] = None
        self._by_service.setdefault(connector.service, []).append(connector)

    def remove(self, connector: Connector) -> None:
        """Give a target no more flows; it is there until those that it has are over."""
        connector.drain()
        of_address = self._by_service.get(connector.service, [])
        if connector in of_address:
            of_address.remove(connector)
            if not of_address:
                del self._by_service[connector.service]
                for each in [each for each in self._told if each[0] == connector.service]:
                    del self._told[each]
        self._forget_if_drained(connector)

    def services(self) -> set[Service]:
        """Return what this site serves, and on which terms, for advertising.

        Raises `LocalError` where an address is for more than can be told.
        """
        found = set()
        for (protocol, address), connectors in self._by_service.items():
            attached = [each for each in connectors if each.is_ready]
            if attached:
                oldest = min(attached, key=lambda each: each.since)
                ready = [each.config for each in attached]
                precedence = max(each.precedence for each in ready)
                weight = sum(each.weight for each in ready if each.precedence == precedence)
                allowed = dict.fromkeys(word for each in ready for word in each.allow_from)
                if len(allowed) > MAX_ALLOWED:
                    raise LocalError(
                        f"{address} is exposed for {len(allowed)} names and tags, but "
                        f"{MAX_ALLOWED} are the most for one address"
                    )
                found.add(
                    Service(
                        address,
                        protocol,
                        distribution=oldest.config.distribution,
                        weight=min(weight, MAX_WEIGHT),
                        precedence=precedence,
                        since=oldest.since,
                        allow_from=tuple(allowed),
                        is_limited=all(each.allow_from for each in ready),
                    )
                )
        return found

    def find(self, protocol: str, address: Address) -> list[Connector]:
        """Return the connectors of an address."""
        return list(self._by_service.get((protocol, str(address)), ()))

    def instances(self, service: ServiceKey, source: SiteIdentity | None) -> list[Instance]:
        """Return the instances of an address that a flow may go to, the best first; as `ready`."""
        found = self.ready(service, source)
        if len(found) < 2:  # nothing to choose from
            return found
        now = self.clock()
        order = in_order([each.occupancy(now) for each in found], self._rng.random)
        return sorted(
            (found[place] for place in order),
            key=lambda each: (each.is_slow, -each.connector.config.precedence),
        )

    def ready(self, service: ServiceKey, source: SiteIdentity | None) -> list[Instance]:
        """Return the instances of an address that a flow from a site may go to, in no order.

        The source is None for this site itself.
        """
        access, is_silent = self._access, self._access.is_silent
        ready: list[Instance] = []
        for each in self._by_service.get(service, ()):
            # For every flow, so that most are let in without asking further.
            if (is_silent and not each.config.allow_from) or each.lets_in(source, access):
                ready += each.ready_instances()
        return ready

    def why_not(self, service: ServiceKey, source: SiteIdentity) -> str:
        """Say why a site finds no instance of an address though there is one; or nothing."""
        config = next((each.connector.config for each in self.ready(service, None)), None)
        if config is None:
            return ""
        return self._access.why_not(source, service[1], config.allow_from)

    def is_unwelcome(self, connector: Connector, source: SiteIdentity | None) -> bool:
        """Tell whether a flow of a site may not be at a target, as things are now."""
        return not connector.lets_in(source, self._access)

    def unwelcome(self) -> list[tuple[Flow, str]]:
        """Return the flows that may not be where they are, as things are now, and why not."""
        return [
            (flow, self._describe_ban(connector, flow.source))
            for connector in self.connectors
            for instance in connector.instances
            for flow in instance.backlog.live()
            if self.is_unwelcome(connector, flow.source)
        ]

    def _describe_ban(self, connector: Connector, source: SiteIdentity | None) -> str:
        config = connector.config
        assert source is not None  # what is within this site is welcome
        return (
            f"not allowed: {self._access.why_not(source, str(config.address), config.allow_from)}"
        )

    def report(self, service: ServiceKey, site: str, now: float) -> Report | None:
        """Return how busy the best band of an address's instances is, as if they were one, for a
        site to be told: nothing if none is left, or if it has been told just before, as it knows
        what it has done since."""
        is_soon = now - self._told.get((service, site), -math.inf) < REPORT_SPACING
        if is_soon or not (found := self.ready(service, None)):
            return None
        self._told[service, site] = now
        load = found[0].load(now) if len(found) == 1 else _joint_load(found, now)
        return Report(round(load.in_flight), load.expected_delay, load.expected_delay_deeper)

    async def connect(
        self,
        service: ServiceKey,
        source: SiteIdentity | None,
        *,
        is_patient: bool,
        begun: tuple[Instance, Begun] | None = None,
    ) -> tuple[Instance, socket.socket]:
        """Connect to the best instance of an address, or to the next one that takes it.

        `begun` is the best, and the connection to it. Only where the client has nobody else to turn
        to is anybody patient with what is slow. Raises `TargetRefused` with every instance's
        reason; it has none for an unknown address.
        """
        found = self.instances(service, source)
        if begun is not None:
            found = [begun[0], *(each for each in found if each is not begun[0])]
        elif found:
            begun = found[0], self.begin(found[0], is_patient=is_patient)
        else:
            raise TargetRefused("")
        best, first = begun
        if first.code == 0 and first.sock is not None:
            return best, first.sock
        is_alone = is_patient and len(found) == 1
        on_finding = partial(self._health.found, is_alone=is_alone)
        race = Race(found, self._limits.slow_after, on_finding)
        return await race.run(is_patient=is_patient, begun=first)

    def begin(self, instance: Instance, *, is_patient: bool) -> Begun:
        """Ask an instance, the best there is, for a connection, which may be made at once.

        Raises `TargetRefused` where it is known to be slow, and somebody else may be quicker.
        """
        is_slow = instance.is_slow
        if is_slow and not is_patient:
            self._health.keep_trying(instance)
            raise TargetRefused(f"{instance.connector.target}: {instance.why}", Reason.SLOW)
        begun = begin(instance.place)
        if is_slow and begun.code == 0:
            self.found(instance, ALL_WELL)
        return begun

    def connect_datagrams(
        self, service: ServiceKey, source: SiteIdentity | None
    ) -> tuple[Instance, socket.socket]:
        """Return a UDP socket connected to the best instance; raise as `connect` does.

        It is not known yet whether that takes datagrams.
        """
        failures: dict[Instance, Finding] = {}
        for instance in self.instances(service, source):
            try:
                return instance, connect_target(instance.place)
            except OSError as exc:
                failures[instance] = judge(exc)
                self.found(instance, failures[instance])
        raise refusal_of(failures, is_patient=True)

    def found(self, instance: Instance, finding: Finding) -> None:
        """Take note of what a flow found out of an instance."""
        self._health.found(instance, finding)

    def refused(self, instance: Instance, why: str) -> None:
        """Take note that an instance takes nothing at present."""
        self.found(instance, Finding(Verdict.FAILED, why))

    def flow_left(self, instance: Instance) -> None:
        """Take note that an instance has one flow less."""
        if instance.connector.is_draining:
            self._forget_if_drained(instance.connector)

    def _forget_if_drained(self, connector: Connector) -> None:
        if connector.is_draining and not connector.flows:
            self.connectors.pop(connector, None)


def _joint_load(found: list[Instance], now: float) -> Load:
    """Return the load of the best band of some instances: of those of the highest precedence that
    any has which is well, or that any has."""
    of_well = [each for each in found if not each.is_slow] or found
    best = max(each.connector.config.precedence for each in of_well)
    band = [each for each in found if each.connector.config.precedence == best]
    loads = [each.load(now) for each in band]
    return Load(
        sum(each.in_flight for each in loads),
        min(each.expected_delay for each in loads),
        _deeper(band, loads, now),
    )


def _deeper(instances: list[Instance], loads: list[Load], now: float) -> float:
    """Return the delay to expect when `DEEPER` more have gone each where it is least."""
    if len(instances) == 1:
        return loads[0].expected_delay_deeper
    more = [0] * len(instances)
    queue = [(load.expected_delay, number) for number, load in enumerate(loads)]
    heapq.heapify(queue)
    for _ in range(DEEPER):
        _, number = queue[0]
        more[number] += 1
        heapq.heapreplace(queue, (instances[number].expected(more[number], now), number))
    return queue[0][0]
