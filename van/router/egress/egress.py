"""The egress: serves flows that come on channels, each at a target of this site."""

import logging
import socket
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from van.errors import RemoteProtocolError
from van.router.bundles.subchannel import Carrier, FlowName, Subchannel
from van.router.egress import connecting
from van.router.egress.connecting import Begun
from van.router.egress.exchange import EgressExchange
from van.router.egress.health import Health
from van.router.egress.instance import Instance, judge
from van.router.egress.introduction import introduce, introduction
from van.router.egress.multicast import Members
from van.router.egress.multicast_stream import StreamMembers
from van.router.egress.race import TargetRefused
from van.router.egress.served import Served
from van.router.egress.session import EgressSession, ServedSocket
from van.router.egress.stream import EgressStream
from van.router.egress.target_pool import TargetPool, TargetSocket
from van.router.egress.targets import Targets
from van.router.egress.waiting import WaitingFlow
from van.router.flow.exchange import ExchangeChannel
from van.router.flow.flow import Flow
from van.router.flow.local_channel import LocalChannel
from van.router.flow.outcome import Ending, Outcome
from van.router.flow.pending import PendingNotice
from van.router.flow.table import Flows
from van.router.reactor.loop import EventLoop
from van.router.reactor.sockets import describe
from van.router.reactor.supervisor import Tasks
from van.router.site.access import Access
from van.router.site.trust import Trust
from van.router.telemetry.events import EventLog
from van.routing.paths.service_index import ServiceKey
from van.tls.identity import SiteIdentity
from van.wire.channel import Open, Reason, Refused

logger = logging.getLogger(__name__)

# To look a member of an enum up takes longer than to compare it.
_REFUSED: Final = Ending.REFUSED
_RESET: Final = Ending.RESET
AnyCarrier = Carrier | LocalChannel
UNWELCOME: Final = "the ingress may not reach it any more"


class Egress:
    """Serves the flows that ingress sites open to targets here.

    All in the event loop's thread. `serve` has a subchannel for one flow, and leaves it when that
    is over or refused. A flow whose target takes its time has a task; when that is cancelled, the
    flow is broken off with the router. A defect that one flow meets ends that flow alone.
    """

    def __init__(
        self,
        loop: EventLoop,
        flows: Flows,
        health: Health,
        trust: Trust,
        access: Access,
        *,
        event_log: EventLog,
        tasks: Tasks,
    ) -> None:
        self.targets = Targets(health, loop.limits, loop.clock, access)
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
        self.idle_targets = TargetPool(loop)
        """Connections to targets of HTTP that wait for the next exchange."""
        self._sessions = 0
        self._moved: WeakValueDictionary[FlowName, EgressStream] = WeakValueDictionary()
        """The flows that have left what they were opened on, at least once."""

    def _serve_stream(self, channel: ExchangeChannel, request: Open, instance: Instance) -> None:
        if request.may_repeat and (idle := self.idle_targets.take(instance)) is not None:
            self._carry_exchange(channel, self._new_flow(channel, request, instance), idle, request)
            return
        try:
            begun = self.targets.begin(instance, is_patient=request.is_patient)
        except TargetRefused as exc:
            self._refuse(channel, request, exc.reason, str(exc))
            return
        flow = self._new_flow(channel, request, instance)
        if begun.sock is not None and begun.code == 0:
            self._carry(channel, flow, instance, begun.sock, request, may_hold=True)
        else:
            waiting = WaitingFlow(channel, flow)
            self._tasks.start(
                self._connect_for, channel, waiting, request, (instance, begun), end=channel.fail
            )
            self._loop.yield_to_tasks()

    def serve_here(self, channel: LocalChannel, request: Open) -> None:
        """Serve an exchange whose client is at this site."""
        service = _service_of(request)
        if found := self.targets.instances(service, None):
            self._serve_stream(channel, request, found[0])
        else:
            self._refuse(channel, request, Reason.NO_SERVICE, "not served here")

    def serve(self, channel: Subchannel, request: Open) -> None:
        """Serve one flow, at one instance or at all; it leaves the subchannel in the end."""
        if not (found := self._find(channel, request)):
            return
        if request.membership is not None and request.protocol == "udp":
            self.members.serve(channel, request, request.membership)
        elif request.membership is not None or (request.to_all and request.protocol != "tcp"):
            detail = f"what is for all instances goes to none over {request.protocol}"
            self._refuse(channel, request, Reason.NO_SERVICE, detail)
        elif request.to_all:
            self.streams.serve(channel, request)
        elif request.protocol == "udp":
            self._serve_datagrams(channel, request)
        else:
            self._serve_stream(channel, request, found[0])

    def follow(self, name: FlowName, subchannel: Subchannel | None, carrier: Carrier) -> bool:
        """Have a flow go on on a channel, or on a bundle again; tell whether there is that flow.

        The subchannel is what it was opened on, if it is there still.
        """
        stream = self._moved.get(name)
        if stream is None:
            if subchannel is None:
                return False  # it has ended meanwhile
            if not isinstance(subchannel.user, EgressStream):
                raise RemoteProtocolError("a flow was moved that is none of TCP, or not open")
            stream = self._moved[name] = subchannel.user
        return stream.follow(carrier)

    def _find(self, channel: Carrier, request: Open) -> list[Instance]:
        """Return the instances for a flow, the best first, or refuse it."""
        found: list[Instance] = []
        peer, service = channel.peer, (request.protocol, request.address)
        if self.is_stopping:
            self._refuse(channel, request, Reason.STOPPING, "the site is stopping")
        elif not self._trust.lets_bind(peer, request.address):
            detail = "the ingress may not reach this address"
            self._refuse(channel, request, Reason.NOT_ALLOWED, detail)
        elif len(self._flows) >= self._limits.max_flows:
            self._refuse(channel, request, Reason.BUSY, f"{self._limits.max_flows} flows already")
        elif not (found := self.targets.instances(service, peer)):
            why_not = self.targets.why_not(service, peer)
            reason = Reason.NOT_ALLOWED if why_not else Reason.NO_SERVICE
            self._refuse(channel, request, reason, why_not or "not served here")
        return found

    def enforce(self) -> None:
        """End the flows that may not be where they are; what is allowed has changed."""
        self.members.enforce()
        for flow, why in self.targets.unwelcome():
            if flow.carrying is not None:
                flow.carrying.abort(why)

    def certify(self, identity: SiteIdentity) -> None:
        """Judge the flows of a site by a newer certificate of its key, and end those that this does
        not allow: what the former one allowed was for as long as that is shown."""
        is_other = False
        for flow in self._flows:
            if flow.source is None or not flow.source.is_succeeded_by(identity):
                continue
            is_other |= flow.source.grants != identity.grants
            flow.source = identity
            if not identity.may_bind(flow.address) and flow.carrying is not None:
                flow.carrying.abort(f"not allowed: {UNWELCOME}")
        if is_other:
            self.enforce()

    def _serve_datagrams(self, channel: Subchannel, request: Open) -> None:
        if self._sessions >= self._limits.max_sessions:  # each has a socket
            self._refuse(channel, request, Reason.BUSY, f"{self._sessions} sessions already")
            return
        try:
            instance, sock = self.targets.connect_datagrams(_service_of(request), channel.peer)
        except TargetRefused as exc:
            self._refuse(channel, request, exc.reason, str(exc))
            return
        flow = self._new_flow(channel, request, instance)
        session = EgressSession(
            self._loop,
            (Served(self.targets, instance, flow), sock),
            channel,
            partial(self._session_ended, flow, channel),
            next_target=partial(self._next_target, flow),
            drops=self._flows.dropped_datagrams,
        )
        flow.carried_by(session)
        self._sessions += 1
        session.start()

    def _next_target(self, flow: Flow) -> ServedSocket:
        """Return another target for a session that one has not taken; raise `TargetRefused`."""
        service = (flow.protocol, flow.address)
        instance, sock = self.targets.connect_datagrams(service, flow.source)
        flow.local = instance.connector.target
        return Served(self.targets, instance, flow), sock

    async def _connect_for(
        self,
        channel: ExchangeChannel,
        waiting: WaitingFlow,
        request: Open,
        begun: tuple[Instance, Begun],
    ) -> None:
        """Connect to a target that takes its time, or refuses."""
        flow = waiting.flow
        try:
            with waiting.scope:
                with PendingNotice(self._loop, channel):
                    instance, target = await self.targets.connect(
                        _service_of(request),
                        channel.peer,
                        is_patient=request.is_patient,
                        begun=begun,
                    )
                if self.targets.is_unwelcome(instance.connector, channel.peer):
                    target.close()  # since it was asked for
                    raise TargetRefused(UNWELCOME, Reason.NOT_ALLOWED)
                waiting.give_back()
                flow.local = instance.connector.target
                self._carry(channel, flow, instance, target, request)
        except TargetRefused as exc:
            waiting.give_back()
            self._count_refused(channel, flow, exc)
            _answer_refused(channel, exc.reason, str(exc))
            channel.close()
        finally:
            if waiting.is_waiting:  # the ingress left while the target was being connected
                self._forget(channel, flow)

    def _refuse(self, channel: AnyCarrier, request: Open, reason: Reason, detail: str) -> None:
        if not isinstance(channel, LocalChannel):
            # One that is put off for slowness may come back, and be taken.
            flow = self._flow_of(channel, request, "")
            self._flows.turn_away(flow, detail, is_put_off=reason is Reason.SLOW)
        _answer_refused(channel, reason, detail)

    def _new_flow(self, channel: AnyCarrier, request: Open, instance: Instance) -> Flow:
        """Return a flow, which counts as live until it is removed."""
        flow = self._flow_of(channel, request, instance.connector.target)
        if not isinstance(channel, LocalChannel):  # else the ingress counts it already
            self._flows.add(flow)
        return flow

    def _forget(self, channel: AnyCarrier, flow: Flow) -> None:
        """Count a flow no more."""
        if not isinstance(channel, LocalChannel):
            self._flows.remove(flow)

    def _count_refused(self, channel: AnyCarrier, flow: Flow, exc: TargetRefused) -> None:
        """Count a flow, which was live, as refused."""
        if not isinstance(channel, LocalChannel):
            self._flows.count_refused(flow, str(exc), is_put_off=exc.reason is Reason.SLOW)
            self._flows.remove(flow)

    def _flow_of(self, channel: AnyCarrier, request: Open, target: str) -> Flow:
        peer = channel.peer
        return Flow(
            id=request.flow,
            role="egress",
            protocol=request.protocol,
            address=request.address,
            peer_site=channel.site,
            local=target,
            opened_at=self._loop.clock(),
            client=request.client,
            source=peer,
        )

    def _carry(
        self,
        channel: ExchangeChannel,
        flow: Flow,
        instance: Instance,
        target: socket.socket,
        request: Open,
        *,
        may_hold: bool = False,
    ) -> None:
        introduce(target, introduction(instance.connector.config, flow, channel.site))
        if request.protocol == "http":
            self._carry_exchange(channel, flow, TargetSocket(self._loop, instance, target), request)
            return
        assert isinstance(channel, Subchannel)
        served = Served(self.targets, instance, flow)
        on_end = partial(self._ended, flow, served, channel)
        stream = EgressStream(self._loop, target, channel, on_end, served)
        flow.carried_by(stream)
        flow.is_opened = True
        stream.start(may_hold=may_hold)

    def _carry_exchange(
        self, channel: ExchangeChannel, flow: Flow, target: TargetSocket, request: Open
    ) -> None:
        served = Served(self.targets, target.instance, flow)
        exchange = EgressExchange(
            self._loop,
            target,
            channel,
            partial(self._ended, flow, served, channel),
            served,
            pool=self.idle_targets,
            may_repeat=request.may_repeat,
            reconnect=partial(self._reconnect, target.instance),
        )
        flow.carried_by(exchange)
        flow.is_opened = True
        exchange.start()

    def _reconnect(self, instance: Instance, exchange: EgressExchange) -> None:
        self._tasks.start(self._connect_again, instance, exchange, end=exchange.fail)
        self._loop.yield_to_tasks()

    async def _connect_again(self, instance: Instance, exchange: EgressExchange) -> None:
        """Connect for an exchange whose target has closed an idle connection just then."""
        try:
            sock = await connecting.connect(instance.place)
        except OSError as exc:
            self.targets.found(instance, judge(exc))
            exchange.fail(describe(exc))
        else:
            exchange.go_on(TargetSocket(self._loop, instance, sock))

    def _session_ended(self, flow: Flow, channel: Subchannel, outcome: Outcome) -> None:
        self._sessions -= 1
        self._over(flow, channel, outcome)

    def _ended(
        self, flow: Flow, served: Served, channel: ExchangeChannel, outcome: Outcome
    ) -> None:
        served.leave()
        self._over(flow, channel, outcome)

    def _over(self, flow: Flow, channel: ExchangeChannel, outcome: Outcome) -> None:
        """Count a flow no more, and leave its subchannel."""
        if isinstance(channel, LocalChannel):
            channel.close()
            return
        if outcome.ending is _REFUSED:
            self._flows.count_refused(flow, outcome.detail)
        elif outcome.ending is _RESET:
            self._flows.count_reset(flow, outcome.detail)
            logger.debug("flow %s to %s reset: %s", flow.id, flow.local, outcome.detail)
        self._flows.remove(flow)
        channel.close()


def _service_of(request: Open) -> ServiceKey:
    return request.protocol, request.address


def _answer_refused(channel: AnyCarrier, reason: Reason, detail: str) -> None:
    channel.answer(Refused(reason, detail[:500]))
