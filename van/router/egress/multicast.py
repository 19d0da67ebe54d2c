"""The member's end of UDP multicast: groups of which instances at this site are members.

A source makes this site a member over an end-to-end channel, on which it hands out the key and has
the replies back; what it sends comes on a branch of its tree. At an instance each client of the
source is told apart from the others by a socket of its own.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import attrs
import trio

from van.errors import RemoteProtocolError
from van.router.channels.channel import EOF_FRAME, Channel, ChannelUser
from van.router.egress.connector import Instance
from van.router.flow.datagram_socket import DatagramTarget, connect_target
from van.router.flow.datagrams import MAX_UNSENT, DatagramSender
from van.router.flow.drops import DropCause, Drops
from van.router.flow.table import Flow, Flows
from van.router.reactor.loop import EventLoop
from van.router.reactor.sockets import describe
from van.router.reactor.tasks import Tasks
from van.routing.paths.service_index import ServiceKey
from van.tls.sealing import Opener
from van.wire.channel import CODEC, NO_REPORT, Done, Kind, Membership, Open, Opened, Reason, Refused
from van.wire.flow_protocol import FlowProtocol, FlowRole
from van.wire.framing import Message

logger = logging.getLogger(__name__)

NUMBER_SIZE: Final = 4
"""Bytes in front of a datagram that say whose it is: the number of the client's session."""
SWEEP_PART: Final = 0.125
"""Part of the idle time between two looks at which sessions are idle."""
MIN_SWEEP_INTERVAL: Final = 0.1
MAX_SWEEP_INTERVAL: Final = 5.0

Reply = Callable[[int, bytes], None]
"""Takes a session's number and what an instance says to that client."""


class Instances(Protocol):
    """What a site serves."""

    def ready(self, service: ServiceKey) -> list[Instance]:
        """Return the instances of an address that are well."""

    def refused(self, instance: Instance, why: str) -> None:
        """Take note that an instance takes nothing at present."""

    def rid_of(self, instance: Instance) -> None:
        """Take note that an instance has one flow less."""


@attrs.define(eq=False)
class _Session:
    """What one client of a source has here."""

    last_active: float
    targets: dict[Instance, DatagramTarget] = attrs.field(factory=dict)


class Group:
    """What one source sends to one address, at the instances of this site."""

    def __init__(
        self,
        members: "Members",
        service: ServiceKey,
        idle: float,
        flow: Flow,
        reply: Reply | None = None,
    ) -> None:
        """`reply` takes what instances answer; without one, that goes to the source's site."""
        self.service = service
        self.flow = flow
        self.idle = idle
        self.memberships: dict[int, MemberFlow] = {}
        """By generation; none for a source at this site."""
        self._reply = reply or self._send_reply
        self._members = members
        self._sessions: dict[int, _Session] = {}
        self._instances: set[Instance] = set()
        self._bytes_in = 0
        self._bytes_out = 0
        self._scope = trio.CancelScope()

    def deliver(self, data: bytes) -> None:
        """Give every instance a copy of what one client has sent, its session's number in front."""
        number, now = int.from_bytes(data[:NUMBER_SIZE], "big"), self._members.loop.clock()
        session = self._sessions.get(number)
        if session is None:
            if len(self._sessions) >= self._members.limits.max_group_sessions:
                self._members.drops[DropCause.TOO_MANY_SESSIONS] += 1
                return
            session = self._sessions[number] = _Session(now)
        session.last_active = now
        datagram = memoryview(data)[NUMBER_SIZE:]
        self._bytes_in += len(datagram)
        ready = self._members.instances.ready(self.service)
        if len(session.targets) > len(ready):
            self._leave_out(session, ready)
        for instance in ready:
            target = session.targets.get(instance) or self._open(number, session, instance)
            if target is not None:
                target.send(datagram)

    def _open(self, number: int, session: _Session, instance: Instance) -> DatagramTarget | None:
        members = self._members
        if members.sockets >= members.limits.max_group_sockets:
            members.drops[DropCause.TOO_MANY_SESSIONS] += 1
            return None
        try:
            sock = connect_target(instance.place)
        except OSError as exc:
            members.instances.refused(instance, describe(exc))
            return None
        members.sockets += 1
        target = session.targets[instance] = DatagramTarget(
            members.loop,
            sock,
            members.drops,
            on_datagram=partial(self._heard, number, session),
            on_pause=_nothing,
            on_failure=partial(self._failed, session, instance),
        )
        if instance not in self._instances:
            self._instances.add(instance)
            instance.backlog.add(self.flow)
        return target

    def _heard(self, number: int, session: _Session, count: int, _may_wait: bool) -> None:  # noqa: FBT001  # a callback
        session.last_active = self._members.loop.clock()
        self._bytes_out += count
        self._reply(number, bytes(self._members.loop.payload[:count]))

    def _failed(self, session: _Session, instance: Instance, reason: str) -> None:
        del session.targets[instance]
        self._members.sockets -= 1
        self._members.instances.refused(instance, reason)

    def _leave_out(self, session: _Session, ready: list[Instance]) -> None:
        """Send nothing more to instances that are gone, or drained."""
        for instance in [each for each in session.targets if each not in ready]:
            self._close(session, instance)

    def _close(self, session: _Session, instance: Instance) -> None:
        session.targets.pop(instance).close()
        self._members.sockets -= 1

    def _send_reply(self, number: int, datagram: bytes) -> None:
        membership = next(reversed(self.memberships.values()), None)
        if membership is not None:
            membership.sender.send(number.to_bytes(NUMBER_SIZE, "big") + datagram)

    # -- life ------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Close what is idle, and let go of instances that are gone, until the group ends."""
        interval = min(max(self.idle * SWEEP_PART, MIN_SWEEP_INTERVAL), MAX_SWEEP_INTERVAL)
        with self._scope:
            while True:
                await trio.sleep(interval)
                try:
                    self._sweep(self._members.loop.clock() - self.idle)
                except Exception:
                    # A defect that one group meets must not end the others.
                    logger.exception("the group of %s failed", self.service)
                    self.abort("a defect, see the log")

    def _sweep(self, last: float) -> None:
        ready = self._members.instances.ready(self.service)
        for number, session in list(self._sessions.items()):
            self._leave_out(session, ready if session.last_active >= last else [])
            if session.last_active < last:
                del self._sessions[number]
        for instance in self._instances.difference(ready):
            self._let_go(instance)

    def _let_go(self, instance: Instance) -> None:
        self._instances.discard(instance)
        instance.backlog.remove(self.flow)
        self._members.instances.rid_of(instance)

    def end(self) -> None:
        """Close everything; a second call does nothing."""
        self._scope.cancel()
        for session in self._sessions.values():
            self._leave_out(session, [])
        self._sessions.clear()
        for instance in list(self._instances):
            self._let_go(instance)

    def meter(self) -> tuple[int, int]:
        """Return how many bytes came for the instances, and how many they have sent."""
        return self._bytes_in, self._bytes_out

    def abort(self, detail: str) -> None:
        """Break it off."""
        for membership in list(self.memberships.values()):
            membership.abort(detail)


class MemberFlow:
    """This site's membership in one generation of a group; the user of its channel."""

    def __init__(
        self,
        loop: EventLoop,
        channel: Channel,
        key: bytes,
        drops: Drops,
        on_end: Callable[[], None],
    ) -> None:
        self.opener = Opener(key)
        self.sender = DatagramSender(loop, channel, drops)
        self._channel = channel
        self._waits: ChannelUser = channel.user
        self._flow = FlowProtocol(FlowRole.EGRESS, Kind.DATAGRAM)
        self._flow.receive(Kind.OPEN)
        self._on_end = on_end

    def start(self) -> None:
        """Say that this site is a member now."""
        self._channel.user = self
        self._channel.limit_unsent(MAX_UNSENT)
        self._flow.send(Kind.OPENED)
        self._channel.send_message(Opened(NO_REPORT))

    def abort(self, detail: str) -> None:
        """Break it off, and the channel with it."""
        if not self._flow.is_over:
            self._channel.abort()
            self._flow.lose()
            self._finish()

    def _finish(self) -> None:
        self.sender.close()
        self._channel.limit_unsent(0)
        self._on_end()

    # -- from the channel ------------------------------------------------------------------

    def receive_data(self, data: memoryview) -> None:
        """Break it off: UDP has no stream."""
        self._flow.receive(Kind.DATA)

    def receive_datagram(self, data: memoryview) -> None:
        """Break it off: what the source sends comes along the tree."""
        raise RemoteProtocolError("a datagram came in a membership")

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """End the membership; raise `RemoteProtocolError` for a frame that is out of place."""
        self._flow.receive(kind)
        done = CODEC.encode(Done(0, NO_REPORT))
        if not self._flow.is_reset:
            self._flow.send(Kind.EOF)
            done = EOF_FRAME + done
        self._flow.send(Kind.DONE)
        self._finish()
        self._channel.answer(done)
        self._channel.user = self._waits

    def channel_writable(self) -> None:
        """Send the newest of the replies that were kept back."""
        self.sender.flush()

    def channel_lost(self, reason: str) -> None:
        """End the membership; the source makes another one."""
        if not self._flow.is_over:
            self._flow.lose()
            self._finish()


class Members:
    """The groups that this site is a member of."""

    def __init__(self, loop: EventLoop, flows: Flows, instances: Instances, tasks: Tasks) -> None:
        self.loop = loop
        self.limits = loop.limits
        self.instances = instances
        self.drops = flows.dropped_datagrams
        self.sockets = 0
        """Sockets to instances, of all groups."""
        self._flows = flows
        self._tasks = tasks
        self._groups: dict[bytes, Group] = {}

    def serve(self, channel: Channel, request: Open, membership: Membership) -> None:
        """Become a member, or refuse; the channel's user is the same again afterwards."""
        service = (request.protocol, request.address)
        group = self._groups.get(membership.group)
        if group is None:
            if len(self._groups) >= self.limits.max_groups:
                self._refuse(channel, Reason.BUSY, f"{self.limits.max_groups} groups already")
                return
            group = self._new_group(channel.site, request, membership)
        elif (group.flow.peer_site, group.service) != (channel.site, service):
            self._refuse(channel, Reason.NOT_ALLOWED, "the group is another source's")
            return
        elif membership.generation in group.memberships:
            self._refuse(channel, Reason.NOT_ALLOWED, "this site is a member already")
            return
        elif len(group.memberships) >= self.limits.max_generations:
            self._refuse(channel, Reason.BUSY, f"{self.limits.max_generations} memberships already")
            return
        on_end = partial(self._membership_ended, membership, group)
        flow = MemberFlow(self.loop, channel, membership.key, self.drops, on_end)
        group.memberships[membership.generation] = flow
        flow.start()

    def _new_group(self, source: str, request: Open, membership: Membership) -> Group:
        service = (request.protocol, request.address)
        flow = self._new_flow("egress", request.flow, source, service)
        group = self._groups[membership.group] = Group(self, service, membership.idle, flow)
        flow.carrying = group
        self._flows.add(flow)
        self._tasks.start(group.sweep)
        return group

    def group_here(self, site: str, service: ServiceKey, idle: float, reply: Reply) -> Group:
        """Return what the instances at this site are to have of a source here.

        It does not count among the flows: its clients' sessions do.
        """
        flow = self._new_flow("local", self._flows.new_id(), site, service)
        group = Group(self, service, idle, flow, reply)
        flow.carrying = group
        self._tasks.start(group.sweep)
        return group

    def _new_flow(self, role: str, flow_id: str, source: str, service: ServiceKey) -> Flow:
        return Flow(
            id=flow_id,
            role=role,
            protocol=service[0],
            address=service[1],
            peer_site=source,
            local=", ".join(each.connector.target for each in self.instances.ready(service)),
            opened_at=self.loop.clock(),
        )

    def _refuse(self, channel: Channel, reason: Reason, detail: str) -> None:
        self._flows.refused += 1
        channel.answer(CODEC.encode(Refused(reason, detail)))

    def _membership_ended(self, membership: Membership, group: Group) -> None:
        del group.memberships[membership.generation]
        if not group.memberships:
            del self._groups[membership.group]
            self._flows.remove(group.flow)
            group.end()

    def receive(self, group: bytes, generation: int, sealed: bytes) -> None:
        """Take a datagram that came on a branch, if it is for this site."""
        found = self._groups.get(group)
        if found is None:  # nothing but a place where the tree parts
            return
        membership = found.memberships.get(generation)
        data = None if membership is None else membership.opener.open(sealed)
        if data is None or len(data) < NUMBER_SIZE:
            self.drops[DropCause.NOT_GENUINE] += 1
        else:
            found.deliver(data)


def _nothing() -> None:
    """Have nothing that waits for others: every reply is sent at once."""
