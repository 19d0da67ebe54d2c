"""The egress: connectors, which attach targets of this site to addresses."""

import logging
import socket
import time
from functools import partial
from typing import Final

import attrs
import trio

from van.api import ConnectorStatus
from van.config import ConnectorConfig
from van.names import Address
from van.router import sockets
from van.router.carrier import Ending, Outcome
from van.router.channel import Channel, ChannelUser
from van.router.egress_carrier import EgressCarrier
from van.router.flows import MAX_FLOWS, Flow, Flows
from van.router.pump import Pump
from van.router.tasks import Tasks
from van.routing.service_index import ServiceKey
from van.wire.channel import Open, Reason, Refused, Report
from van.wire.lsa import Service

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT: Final = 3.0
"""Seconds for a target to take a connection: it is local, and others may be waiting to serve."""


class TargetRefused(Exception):
    """No target of an address took the connection; never leaves the egress and its caller."""


@attrs.define(eq=False)
class Connector:
    """One target of an address."""

    config: ConnectorConfig
    is_allowed: bool
    flows: int = 0
    failure: str = ""
    """Why the target refused the last connection; empty when it took it."""
    service: ServiceKey = attrs.field(init=False)
    """The address that the target serves."""
    target: str = attrs.field(init=False)
    """The target, for people."""

    @service.default
    def _service_default(self) -> ServiceKey:
        return (self.config.protocol, str(self.config.address))

    @target.default
    def _target_default(self) -> str:
        return str(self.config.target)

    def connect_at_once(self) -> socket.socket | None:
        """Connect to the target if that needs no waiting; after None, `connect` says why not."""
        sock = sockets.connect_at_once(self.config.target)
        if sock is not None:
            self.failure = ""
        return sock

    async def connect(self) -> socket.socket:
        """Connect to the target; raise `OSError` and remember why."""
        try:
            sock = await sockets.connect(self.config.target, timeout=CONNECT_TIMEOUT)
        except trio.TooSlowError as exc:
            self.failure = f"no answer in {CONNECT_TIMEOUT:.0f} s"
            raise TimeoutError(self.failure) from exc
        except OSError as exc:
            self.failure = sockets.describe(exc)
            raise
        self.failure = ""
        return sock

    def status(self) -> ConnectorStatus:
        """Return the connector as the control API shows it."""
        state, detail = "ready", ""
        if not self.is_allowed:
            state, detail = "not allowed", "this site's certificate does not allow the address"
        elif self.failure:
            state, detail = "failing", f"the target refuses: {self.failure}"
        return ConnectorStatus(
            address=str(self.config.address),
            protocol=self.config.protocol,
            target=self.target,
            state=state,
            detail=detail,
            flows=self.flows,
        )


class Egress:
    """Serves the flows that ingress sites open to targets here."""

    def __init__(self, pump: Pump, flows: Flows) -> None:
        self.connectors: list[Connector] = []
        self.is_stopping = False
        self.tasks = Tasks()
        """Those that connect to targets."""
        self._pump = pump
        self._flows = flows

    def services(self) -> set[Service]:
        """Return what this site serves, for advertising."""
        return {
            Service(address, protocol)
            for protocol, address in (each.service for each in self.connectors if each.is_allowed)
        }

    def _candidates(self, service: ServiceKey) -> list[Connector]:
        """Return the targets of an address, the least busy first."""
        found = [each for each in self.connectors if each.is_allowed and each.service == service]
        return sorted(found, key=lambda each: each.flows) if len(found) > 1 else found

    async def connect(self, service: ServiceKey) -> tuple[Connector, socket.socket]:
        """Connect to the least busy target of an address, or to the next one that takes it.

        Raises `TargetRefused` with every target's reason; it has none for an unknown address.
        """
        failures = []
        for connector in self._candidates(service):
            try:
                return connector, await connector.connect()
            except OSError as exc:
                failures.append(f"{connector.target}: {sockets.describe(exc)}")
        raise TargetRefused("; ".join(failures))

    def serve(self, channel: Channel, request: Open, *, may_bind: bool) -> None:
        """Serve one flow; the channel's user is the same again afterwards."""
        service = (request.protocol, request.address)
        if self.is_stopping:
            self._refuse(channel, Reason.STOPPING, "the site is stopping")
        elif not may_bind:
            self._refuse(channel, Reason.NOT_ALLOWED, "the ingress may not reach this address")
        elif len(self._flows) >= MAX_FLOWS:
            self._refuse(channel, Reason.BUSY, f"{MAX_FLOWS} flows already")
        elif not (candidates := self._candidates(service)):
            self._refuse(channel, Reason.NO_SERVICE, "not served here")
        elif (target := candidates[0].connect_at_once()) is not None:
            self._carry(channel, request, candidates[0], target, may_hold=True)
        else:
            channel.pause()
            self.tasks.start(self._connect_for, channel, request)
            self._pump.give_way()

    async def _connect_for(self, channel: Channel, request: Open) -> None:
        """Connect to a target that takes its time, or is a name to look up, or refuses."""
        try:
            connector, target = await self.connect((request.protocol, request.address))
            if channel.is_open:
                self._carry(channel, request, connector, target)
            else:  # the ingress left while the target was being connected
                sockets.close_with_reset(target)
        except TargetRefused as exc:
            self._refuse(channel, Reason.TARGET_REFUSED, str(exc))
            _go_on(channel)
        except Exception:
            # A defect that one flow meets must not end the others.
            logger.exception("flow %s failed", request.flow)
            channel.fail("a defect, see the log")

    def _refuse(self, channel: Channel, reason: Reason, detail: str) -> None:
        self._flows.refused += 1
        if not channel.send_message(Refused(reason, detail[:500])):
            channel.pause()  # an ingress that does not take answers can ask no more

    def _carry(
        self,
        channel: Channel,
        request: Open,
        connector: Connector,
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
            local=connector.target,
            opened_at=time.monotonic(),
        )
        on_end = partial(self._ended, flow, connector, channel, channel.user)
        report = Report(connector.flows + 1, 0, 0)
        flow.carrying = carrier = EgressCarrier(self._pump, target, channel, on_end, report)
        connector.flows += 1
        self._flows.add(flow)
        carrier.start(may_hold=may_hold)

    def _ended(
        self,
        flow: Flow,
        connector: Connector,
        channel: Channel,
        waits: ChannelUser,
        outcome: Outcome,
    ) -> None:
        """Let the channel wait for the next flow."""
        self._flows.remove(flow)
        connector.flows -= 1
        if outcome.ending is Ending.RESET:
            self._flows.reset += 1
            logger.debug("flow %s to %s reset: %s", flow.id, flow.local, outcome.detail)
        channel.user = waits
        _go_on(channel)

    def find(self, protocol: str, address: Address) -> list[Connector]:
        """Return the connectors of an address."""
        service = (protocol, str(address))
        return [each for each in self.connectors if each.service == service]


def _go_on(channel: Channel) -> None:
    """Read on, unless the answer has yet to go out; then the user is told when it has."""
    if channel.is_open and not channel.is_blocked:
        channel.resume()
