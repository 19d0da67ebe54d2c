"""The egress: connectors, which attach targets of this site to addresses."""

import heapq
import itertools
import logging
import random
import socket
from functools import partial

from van.balancing.delay_curve import DEEPER, Load
from van.names import Address
from van.router.channels.channel import Channel, ChannelUser, go_on
from van.router.egress.connector import Connector, Instance, connect, connect_at_once
from van.router.egress.health import Health
from van.router.egress.multicast import Members
from van.router.egress.multicast_stream import StreamMembers
from van.router.egress.served import Served
from van.router.egress.session import EgressSession
from van.router.egress.stream import EgressCarrier
from van.router.flow.datagram_socket import connect_target
from van.router.flow.outcome import Ending, Outcome
from van.router.flow.table import Flow, Flows
from van.router.reactor import sockets
from van.router.reactor.loop import EventLoop
from van.router.reactor.tasks import Tasks
from van.router.telemetry.events import EventLog
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import CODEC, Open, Reason, Refused, Report
from van.wire.lsa import MAX_WEIGHT, Service

logger = logging.getLogger(__name__)


class TargetRefused(Exception):
    """No target of an address took the connection; never leaves the egress and its caller."""


class Egress:
    """Serves the flows that ingress sites open to targets here."""

    def __init__(self, loop: EventLoop, flows: Flows, health: Health, event_log: EventLog) -> None:
        self.connectors: dict[Connector, None] = {}
        self.is_stopping = False
        self.tasks = Tasks()
        """Those that connect to targets."""
        self.members = Members(loop, flows, self, self.tasks)
        """The groups of which instances here are members."""
        self.streams = StreamMembers(loop, flows, self, event_log, self.tasks)
        self._loop = loop
        self._limits = loop.limits
        self._flows = flows
        self._health = health
        self._by_service: dict[ServiceKey, list[Connector]] = {}
        self._rng = random.Random()

    def add(self, connector: Connector) -> None:
        """Serve a target from now on."""
        self.connectors[connector] = None
        self._by_service.setdefault(connector.service, []).append(connector)
        self._health.watch(connector)

    def remove(self, connector: Connector) -> None:
        """Give a target no more flows; it is there until those that it has are over."""
        connector.drain()
        of_address = self._by_service.get(connector.service, [])
        if connector in of_address:
            of_address.remove(connector)
            if not of_address:
                del self._by_service[connector.service]
        self._forget_if_drained(connector)

    def services(self) -> set[Service]:
        """Return what this site serves, and on which terms, for advertising."""
        found = set()
        for (protocol, address), connectors in self._by_service.items():
            ready = [each.config for each in connectors if each.is_ready]
            if ready:
                precedence = max(each.precedence for each in ready)
                oldest = min(ready, key=lambda each: each.since)
                weight = sum(each.weight for each in ready if each.precedence == precedence)
                found.add(
                    Service(
                        address,
                        protocol,
                        distribution=oldest.distribution,
                        weight=min(weight, MAX_WEIGHT),
                        precedence=precedence,
                        since=oldest.since,
                    )
                )
        return found

    def find(self, protocol: str, address: Address) -> list[Connector]:
        """Return the connectors of an address."""
        return list(self._by_service.get((protocol, str(address)), ()))

    def instances(self, service: ServiceKey) -> list[Instance]:
        """Return the instances of an address that a flow may go to, the best first."""
        found = self.ready(service)
        if len(found) < 2:  # nothing to choose from
            return found
        now = self._loop.clock()

        def badness(instance: Instance) -> tuple[int, float, float]:
            precedence = instance.connector.config.precedence
            return -precedence, instance.expected(0.0, now), self._rng.random()

        return sorted(found, key=badness)

    def ready(self, service: ServiceKey) -> list[Instance]:
        """Return the instances of an address that a flow may go to, in no order."""
        connectors = self._by_service.get(service, ())
        ready = [each.ready_instances() for each in connectors if each.is_ready]
        return list(itertools.chain.from_iterable(ready))

    def report(self, service: ServiceKey) -> Report:
        """Return how busy the best band of an address's instances is, as if they were one."""
        found = self.instances(service)
        now = self._loop.clock()
        if not found:
            return Report(0, 0.0, 0.0)
        best = found[0].connector.config.precedence
        band = [each for each in found if each.connector.config.precedence == best]
        loads = [each.load(now) for each in band]
        return Report(
            round(sum(each.in_flight for each in loads)),
            min(each.expected_delay for each in loads),
            _deeper(band, loads, now),
        )

    async def connect(self, service: ServiceKey) -> tuple[Instance, socket.socket]:
        """Connect to the best instance of an address, or to the next one that takes it.

        Raises `TargetRefused` with every instance's reason; it has none for an unknown address.
        """
        failures = []
        for instance in self.instances(service):
            try:
                return instance, await connect(instance, self._limits)
            except OSError as exc:
                why = sockets.describe(exc)
                self.refused(instance, why)
                failures.append(f"{instance.connector.target}: {why}")
        raise TargetRefused("; ".join(failures))

    def connect_datagrams(self, service: ServiceKey) -> tuple[Instance, socket.socket]:
        """Return a UDP socket connected to the best instance; raise as `connect` does.

        It is not known yet whether that takes datagrams.
        """
        failures = []
        for instance in self.instances(service):
            try:
                return instance, connect_target(instance.place)
            except OSError as exc:
                why = sockets.describe(exc)
                self.refused(instance, why)
                failures.append(f"{instance.connector.target}: {why}")
        raise TargetRefused("; ".join(failures))

    def refused(self, instance: Instance, why: str) -> None:
        """Take note that an instance takes nothing at present."""
        self._health.refused(instance.connector, instance, why)

    def serve(self, channel: Channel, request: Open, *, may_bind: bool) -> None:
        """Serve one flow; the channel's user is the same again afterwards."""
        service = (request.protocol, request.address)
        if self.is_stopping:
            self._refuse(channel, Reason.STOPPING, "the site is stopping")
        elif not may_bind:
            self._refuse(channel, Reason.NOT_ALLOWED, "the ingress may not reach this address")
        elif len(self._flows) >= self._limits.max_flows:
            self._refuse(channel, Reason.BUSY, f"{self._limits.max_flows} flows already")
        elif not (found := self.instances(service)):
            self._refuse(channel, Reason.NO_SERVICE, "not served here")
        elif request.membership is not None:
            self.members.serve(channel, request, request.membership)
        elif request.to_all:
            self.streams.serve(channel, request)
        elif request.protocol == "udp":
            self._serve_datagrams(channel, request)
        elif (target := connect_at_once(found[0])) is not None:
            self._carry(channel, request, found[0], target, may_hold=True)
        else:
            channel.pause()
            self.tasks.start(self._connect_for, channel, request)
            self._loop.yield_to_tasks()

    def _serve_datagrams(self, channel: Channel, request: Open) -> None:
        try:
            instance, target = self.connect_datagrams((request.protocol, request.address))
        except TargetRefused as exc:
            self._refuse(channel, Reason.TARGET_REFUSED, str(exc))
        else:
            self._carry(channel, request, instance, target)

    async def _connect_for(self, channel: Channel, request: Open) -> None:
        """Connect to a target that takes its time, or is a name to look up, or refuses."""
        try:
            instance, target = await self.connect((request.protocol, request.address))
            if channel.is_open:
                self._carry(channel, request, instance, target)
            else:  # the ingress left while the target was being connected
                sockets.close_with_reset(target)
        except TargetRefused as exc:
            self._refuse(channel, Reason.TARGET_REFUSED, str(exc))
            go_on(channel)
        except Exception:
            # A defect that one flow meets must not end the others.
            logger.exception("flow %s failed", request.flow)
            channel.fail("a defect, see the log")

    def _refuse(self, channel: Channel, reason: Reason, detail: str) -> None:
        self._flows.refused += 1
        channel.answer(CODEC.encode(Refused(reason, detail[:500])))

    def _carry(
        self,
        channel: Channel,
        request: Open,
        instance: Instance,
        target: socket.socket,
        *,
        may_hold: bool = False,
    ) -> None:
        flow = Flow(
            id=request.flow,
            role="egress",
            protocol=request.protocol,
            address=request.address,
            peer_site=channel.site,
            local=instance.connector.target,
            opened_at=self._loop.clock(),
        )
        served = Served(self, instance, flow)
        on_end = partial(self._ended, flow, served, channel, channel.user)
        if request.protocol == "udp":
            flow.carrying = session = EgressSession(
                self._loop,
                target,
                channel,
                on_end,
                served=served,
                drops=self._flows.dropped_datagrams,
            )
            self._flows.add(flow)
            session.start()
        else:
            flow.carrying = carrier = EgressCarrier(self._loop, target, channel, on_end, served)
            self._flows.add(flow)
            carrier.start(may_hold=may_hold)

    def _ended(
        self,
        flow: Flow,
        served: Served,
        channel: Channel,
        waits: ChannelUser,
        outcome: Outcome,
    ) -> None:
        """Let the channel wait for the next flow."""
        self._flows.remove(flow)
        self.left(served)
        if outcome.ending is Ending.REFUSED:
            self._flows.refused += 1
        elif outcome.ending is Ending.RESET:
            self._flows.reset += 1
            logger.debug("flow %s to %s reset: %s", flow.id, flow.local, outcome.detail)
        channel.user = waits
        go_on(channel)

    def left(self, served: Served) -> None:
        """Take note that a flow is over, at whatever end."""
        served.over()
        self.rid_of(served.instance)

    def rid_of(self, instance: Instance) -> None:
        """Take note that an instance has one flow less."""
        self._forget_if_drained(instance.connector)

    def _forget_if_drained(self, connector: Connector) -> None:
        if connector.is_draining and not connector.flows:
            self.connectors.pop(connector, None)


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
