"""The egress: connectors, which attach targets of this site to addresses."""

import logging
import socket
import time
from typing import Final

import attrs
import trio

from van.api import ConnectorStatus
from van.config import ConnectorConfig
from van.names import Address
from van.router import sockets
from van.router.carrier import Ending
from van.router.channel import Channel
from van.router.egress_carrier import EgressCarrier
from van.router.flows import MAX_FLOWS, Flow, Flows
from van.router.pump import Pump
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

    @property
    def service(self) -> ServiceKey:
        """Return the address that the target serves."""
        return (self.config.protocol, str(self.config.address))

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
            target=str(self.config.target),
            state=state,
            detail=detail,
            flows=self.flows,
        )


class Egress:
    """Serves the flows that ingress sites open to targets here."""

    def __init__(self, pump: Pump, flows: Flows) -> None:
        self.connectors: list[Connector] = []
        self.is_stopping = False
        self._pump = pump
        self._flows = flows

    def services(self) -> set[Service]:
        """Return what this site serves, for advertising."""
        return {
            Service(address, protocol)
            for protocol, address in (each.service for each in self.connectors if each.is_allowed)
        }

    async def connect(self, service: ServiceKey) -> tuple[Connector, socket.socket]:
        """Connect to the least busy target of an address, or to the next one that takes it.

        Raises `TargetRefused` with every target's reason; it has none for an unknown address.
        """
        candidates = [each for each in self.connectors if each.service == service]
        failures = []
        for connector in sorted(candidates, key=lambda each: each.flows):
            try:
                return connector, await connector.connect()
            except OSError as exc:
                failures.append(f"{connector.config.target}: {sockets.describe(exc)}")
        raise TargetRefused("; ".join(failures))

    async def serve(self, channel: Channel, request: Open, *, may_bind: bool) -> None:
        """Serve one flow; the channel is clean or closed when this returns."""
        service = (request.protocol, request.address)
        if self.is_stopping:
            self._refuse(channel, Reason.STOPPING, "the site is stopping")
        elif not may_bind:
            self._refuse(channel, Reason.NOT_ALLOWED, "the ingress may not reach this address")
        elif len(self._flows) >= MAX_FLOWS:
            self._refuse(channel, Reason.BUSY, f"{MAX_FLOWS} flows already")
        elif not any(each.is_allowed and each.service == service for each in self.connectors):
            self._refuse(channel, Reason.NO_SERVICE, "not served here")
        else:
            try:
                connector, target = await self.connect(service)
            except TargetRefused as exc:
                self._refuse(channel, Reason.TARGET_REFUSED, str(exc))
            else:
                await self._carry(channel, request, connector, target)

    def _refuse(self, channel: Channel, reason: Reason, detail: str) -> None:
        self._flows.refused += 1
        channel.send_message(Refused(reason, detail[:500]))

    async def _carry(
        self, channel: Channel, request: Open, connector: Connector, target: socket.socket
    ) -> None:
        flow = Flow(
            id=request.flow,
            role="egress",
            protocol=request.protocol,
            address=request.address,
            peer_site=channel.site,
            local=str(connector.config.target),
            opened_at=time.monotonic(),
        )
        if not channel.is_open:  # the ingress left while the target was being connected
            sockets.close_with_reset(target)
            return
        connector.flows += 1
        self._flows.add(flow)
        try:
            carrier = EgressCarrier(self._pump, target, channel, Report(connector.flows, 0, 0))
            flow.meter = lambda: (carrier.bytes_to_local, carrier.bytes_from_local)
            carrier.start()
            outcome = await carrier.finished()
        finally:
            self._flows.remove(flow)
            connector.flows -= 1
        if outcome.ending is Ending.RESET:
            self._flows.reset += 1
            logger.debug("flow %s to %s reset: %s", flow.id, flow.local, outcome.detail)

    def find(self, protocol: str, address: Address) -> list[Connector]:
        """Return the connectors of an address."""
        service = (protocol, str(address))
        return [each for each in self.connectors if each.service == service]
