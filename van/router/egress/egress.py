"""The egress: serves flows that come on channels, each at a target of this site."""

import logging
import socket
from functools import partial

from van.router.channels.channel import Channel, go_on
from van.router.channels.frames import ChannelUser
from van.router.egress.connector import Instance, connect_at_once
from van.router.egress.health import Health
from van.router.egress.multicast import Members
from van.router.egress.multicast_stream import StreamMembers
from van.router.egress.served import Served
from van.router.egress.session import EgressSession
from van.router.egress.stream import EgressStream
from van.router.egress.targets import TargetRefused, Targets
from van.router.flow.outcome import Ending, Outcome
from van.router.flow.pending import PendingNotice
from van.router.flow.table import Flow, Flows
from van.router.reactor import sockets
from van.router.reactor.loop import EventLoop
from van.router.reactor.supervisor import Tasks
from van.router.site.trust import Trust
from van.router.telemetry.events import EventLog
from van.wire.channel import CODEC, Open, Reason, Refused

logger = logging.getLogger(__name__)


class Egress:
    """Serves the flows that ingress sites open to targets here.

    All in the event loop's thread. `serve` takes a channel from whoever waits for OPEN on it, and
    gives it back, ready for the next flow, when this one is over or refused. A flow whose target
    takes its time has a task; when that is cancelled, the channel is broken off with
    the router. A defect that one flow meets ends that flow, and its channel, alone.
    """

    def __init__(
        self,
        loop: EventLoop,
        flows: Flows,
        health: Health,
        trust: Trust,
        *,
        event_log: EventLog,
        tasks: Tasks,
    ) -> None:
        self.targets = Targets(health, loop.limits, loop.clock)
        self.is_stopping = False
        """Whether every new flow is refused."""
        self.members = Members(loop, flows, self.targets, tasks)
        """The groups of which instances here are members."""
        self.streams = StreamMembers(loop, flows, self.targets, event_log, tasks)
        self._loop = loop
        self._trust = trust
        self._tasks = tasks
        self._limits = loop.limits
        self._flows = flows

    def serve(self, channel: Channel, request: Open) -> None:
        """Serve one flow; the channel's user is the same again afterwards."""
        service = (request.protocol, request.address)
        if self.is_stopping:
            self._refuse(channel, Reason.STOPPING, "the site is stopping")
        elif not self._trust.lets_bind(channel.peer, request.address.rpartition(":")[0]):
            self._refuse(channel, Reason.NOT_ALLOWED, "the ingress may not reach this address")
        elif len(self._flows) >= self._limits.max_flows:
            self._refuse(channel, Reason.BUSY, f"{self._limits.max_flows} flows already")
        elif not (found := self.targets.instances(service)):
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
            self._tasks.start(self._connect_for, channel, request, end=channel.fail)
            self._loop.yield_to_tasks()

    def _serve_datagrams(self, channel: Channel, request: Open) -> None:
        try:
            instance, target = self.targets.connect_datagrams((request.protocol, request.address))
        except TargetRefused as exc:
            self._refuse(channel, Reason.TARGET_REFUSED, str(exc))
        else:
            self._carry(channel, request, instance, target)

    async def _connect_for(self, channel: Channel, request: Open) -> None:
        """Connect to a target that takes its time, or is a name to look up, or refuses."""
        try:
            with PendingNotice(self._loop, channel):
                instance, target = await self.targets.connect((request.protocol, request.address))
            if channel.is_open:
                self._carry(channel, request, instance, target)
            else:  # the ingress left while the target was being connected
                sockets.close_with_reset(target)
        except TargetRefused as exc:
            self._refuse(channel, Reason.TARGET_REFUSED, str(exc))
            go_on(channel)

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
        served = Served(self.targets, instance, flow)
        on_end = partial(self._ended, flow, served, channel, channel.user)
        if request.protocol == "udp":
            session = EgressSession(
                self._loop,
                target,
                channel,
                on_end,
                served=served,
                drops=self._flows.dropped_datagrams,
            )
            flow.carried_by(session)
            self._flows.add(flow)
            session.start()
        else:
            stream = EgressStream(self._loop, target, channel, on_end, served)
            flow.carried_by(stream)
            self._flows.add(flow)
            stream.start(may_hold=may_hold)

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
        served.leave()
        if outcome.ending is Ending.REFUSED:
            self._flows.refused += 1
        elif outcome.ending is Ending.RESET:
            self._flows.reset += 1
            logger.debug("flow %s to %s reset: %s", flow.id, flow.local, outcome.detail)
        channel.hand_to(waits)
        go_on(channel)
