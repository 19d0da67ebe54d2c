"""Multicast of TCP: a client's stream goes to every instance that there is when it connects.

The ingress opens a flow to each site that serves the address, and the egress copies what comes to
each instance there; both with a `FanOut`. A flow to another site is an ordinary one, encrypted from
end to end; what carries it has one end of a connection within the router, the fan-out the other.
"""

import contextlib
import logging
import socket
from functools import partial

import trio

from van.router.bundles.subchannel import Subchannel
from van.router.egress import connecting
from van.router.egress.instance import Finding, Instance, Verdict, judge
from van.router.egress.introduction import introduce, introduction
from van.router.egress.race import TargetRefused
from van.router.egress.served import ServedByAll
from van.router.egress.stream import EgressStream
from van.router.egress.targets import Targets
from van.router.egress.waiting import WaitingFlow
from van.router.flow.fan_out import Copy, FanOut
from van.router.flow.flow import Flow
from van.router.flow.outcome import Ending, Outcome
from van.router.flow.pending import PendingNotice
from van.router.flow.table import Flows
from van.router.reactor import sockets
from van.router.reactor.loop import EventLoop
from van.router.reactor.supervisor import Tasks
from van.router.telemetry.events import EventKind, EventLog
from van.wire.channel import Open, Reason, Refused

logger = logging.getLogger(__name__)


class StreamMembers:
    """Connects a stream to the instances of this site."""

    def __init__(
        self, loop: EventLoop, flows: Flows, targets: Targets, event_log: EventLog, tasks: Tasks
    ) -> None:
        self._loop = loop
        self._flows = flows
        self._targets = targets
        self._event_log = event_log
        self._tasks = tasks

    def serve(self, channel: Subchannel, request: Open) -> None:
        """Serve a flow that is for every instance."""
        flow = Flow(
            id=request.flow,
            role="egress",
            protocol=request.protocol,
            address=request.address,
            peer_site=channel.site,
            local="",
            opened_at=self._loop.clock(),
            client=request.client,
            source=channel.peer,
        )
        self._flows.add(flow)
        waiting = WaitingFlow(channel, flow)
        self._tasks.start(self._carry, channel, waiting, request, end=channel.fail)
        self._loop.yield_to_tasks()

    async def _carry(self, channel: Subchannel, waiting: WaitingFlow, request: Open) -> None:
        flow = waiting.flow
        try:
            with waiting.scope, PendingNotice(self._loop, channel):
                copies, served = await self.connect(
                    flow, channel.site, is_patient=request.is_patient
                )
            if waiting.scope.cancelled_caught:  # the ingress has left
                return
            waiting.give_back()
            try:
                await self._fan_out(channel, request, flow, copies, served)
            finally:
                served.leave()
        finally:
            self._flows.remove(flow)

    async def _fan_out(
        self,
        channel: Subchannel,
        request: Open,
        flow: Flow,
        copies: list[Copy],
        served: ServedByAll,
    ) -> None:
        if not copies:
            self._refuse(flow, channel, Reason.TARGET_REFUSED, "no target took it")
            return
        try:
            near, far = sockets.connected_pair()
        except OSError as exc:  # no descriptor or port is left, which says nothing of a target
            self._refuse(flow, channel, Reason.BUSY, sockets.describe(exc))
            _give_up(copies)
            return
        on_lost = partial(self.lost, flow)
        fan_out = FanOut(
            far,
            copies,
            takes_answer=request.wants_answer,
            on_lost=on_lost,
            loop=self._loop,
        )
        flow.carried_by(fan_out)
        on_end = partial(self._ended, flow, channel)
        EgressStream(self._loop, near, channel, on_end, served).start()
        await fan_out.run()

    def _refuse(self, flow: Flow, channel: Subchannel, reason: Reason, detail: str) -> None:
        self._flows.count_refused(flow, detail)
        channel.answer(Refused(reason, detail))
        channel.close()

    def _ended(self, flow: Flow, channel: Subchannel, outcome: Outcome) -> None:
        if outcome.ending is Ending.RESET:
            self._flows.count_reset(flow, outcome.detail)
        channel.close()

    async def connect(
        self, flow: Flow, site: str, *, is_patient: bool
    ) -> tuple[list[Copy], ServedByAll]:
        """Connect a flow whose client is at a site to every instance here; those that refuse, and
        those that are slow, are left out.

        Whoever is patient waits for the first that takes it, where all that are left are slow.
        """
        service = (flow.protocol, flow.address)
        found = self._targets.ready(service, flow.source)
        copies: list[Copy] = []
        served = ServedByAll(self._targets, flow)
        try:
            async with trio.open_nursery() as nursery:
                for instance in found:
                    nursery.start_soon(self._connect, instance, copies, served)
            if is_patient and not copies:
                with contextlib.suppress(TargetRefused):
                    instance, sock = await self._targets.connect(
                        service, flow.source, is_patient=True
                    )
                    _add(instance, sock, copies, served)
        except BaseException:
            _give_up(copies)
            served.leave()
            raise
        for instance, copy in zip(served.instances, copies, strict=True):
            introduce(copy.sock, introduction(instance.connector.config, flow, site))
        flow.local = flow.local or ", ".join(each.name for each in copies)
        return copies, served

    async def _connect(self, instance: Instance, copies: list[Copy], served: ServedByAll) -> None:
        timeout = self._loop.limits.settle_timeout
        try:
            with trio.fail_after(timeout):
                sock = await connecting.connect(instance.place)
        except trio.TooSlowError:
            self._targets.found(instance, Finding(Verdict.SILENT, f"no answer in {timeout:g} s"))
        except OSError as exc:
            self._targets.found(instance, judge(exc))
        else:
            _add(instance, sock, copies, served)

    def lost(self, flow: Flow, copy: Copy) -> None:
        """Take note that one gets no more of a stream."""
        self._event_log.record(
            EventKind.COPY_LOST,
            flow.address,
            f"{copy.name} gets no more of flow {flow.id}: {copy.detail or copy.failure}",
        )


def _add(instance: Instance, sock: socket.socket, copies: list[Copy], served: ServedByAll) -> None:
    copies.append(Copy(instance.connector.target, sock))
    served.add(instance)


def _give_up(copies: list[Copy]) -> None:
    for copy in copies:
        sockets.close_with_reset(copy.sock)
