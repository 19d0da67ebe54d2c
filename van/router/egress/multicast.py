"""The member's end of UDP multicast: groups of which instances at this site are members.

A source makes this site a member by a flow on a bundle, on which it hands out the key and has the
replies back; what it sends comes on a branch of its tree.
"""

from functools import partial

from van.router.bundles.subchannel import Subchannel
from van.router.egress.membership import MemberFlow
from van.router.egress.multicast_group import NUMBER_SIZE, Group, GroupContext, Reply
from van.router.egress.targets import Targets
from van.router.flow.drops import DropCause
from van.router.flow.flow import Flow
from van.router.flow.outcome import Outcome
from van.router.flow.table import Flows
from van.router.reactor.loop import EventLoop
from van.router.reactor.supervisor import Tasks
from van.routing.paths.service_index import ServiceKey
from van.tls.identity import SiteIdentity
from van.wire.channel import Membership, Open, Reason, Refused


class Members:
    """The groups that this site is a member of."""

    def __init__(self, loop: EventLoop, flows: Flows, targets: Targets, tasks: Tasks) -> None:
        self._loop = loop
        self._limits = loop.limits
        self._targets = targets
        self._drops = flows.dropped_datagrams
        self._context = GroupContext(loop, targets, self._drops)
        self._flows = flows
        self._tasks = tasks
        self._groups: dict[bytes, Group] = {}

    @property
    def sockets(self) -> int:
        """Return how many sockets to instances all groups have."""
        return self._context.sockets

    def has_instances(self, service: ServiceKey) -> bool:
        """Tell whether an instance of an address is well here."""
        return bool(self._targets.ready(service, None))

    def enforce(self) -> None:
        """Have groups leave the instances that their sources may not reach any more."""
        for group in list(self._groups.values()):
            group.leave_unwelcome()

    def serve(self, channel: Subchannel, request: Open, membership: Membership) -> None:
        """Become a member, until the flow is over, or refuse."""
        service = (request.protocol, request.address)
        group = self._groups.get(membership.group)
        if group is None:
            if len(self._groups) >= self._limits.max_groups:
                detail = f"{self._limits.max_groups} groups already"
                self._refuse(channel, request, Reason.BUSY, detail)
                return
            group = self._new_group(channel.peer, request, membership)
        elif (group.flow.peer_site, group.service) != (channel.site, service):
            self._refuse(channel, request, Reason.NOT_ALLOWED, "the group is another source's")
            return
        elif membership.generation in group.memberships:
            self._refuse(channel, request, Reason.NOT_ALLOWED, "this site is a member already")
            return
        elif len(group.memberships) >= self._limits.max_generations:
            detail = f"{self._limits.max_generations} memberships already"
            self._refuse(channel, request, Reason.BUSY, detail)
            return
        on_end = partial(self._membership_ended, membership, group)
        flow = MemberFlow(self._loop, channel, membership.key, self._drops, on_end)
        group.memberships[membership.generation] = flow
        flow.start()

    def _new_group(self, source: SiteIdentity, request: Open, membership: Membership) -> Group:
        service = (request.protocol, request.address)
        flow = self._new_flow("egress", request.flow, source, service)
        group = self._groups[membership.group] = Group(
            self._context, service, membership.idle, flow
        )
        flow.carried_by(group)
        flow.is_opened = True
        self._flows.add(flow)
        self._tasks.start(group.sweep, end=group.abort)
        return group

    def group_here(self, site: str, service: ServiceKey, idle: float, reply: Reply) -> Group:
        """Return what the instances at this site are to have of a source here.

        It does not count among the flows: its clients' sessions do.
        """
        flow = self._new_flow("local", self._flows.new_id(), None, service, site=site)
        group = Group(self._context, service, idle, flow, reply)
        flow.carried_by(group)
        self._tasks.start(group.sweep, end=group.abort)
        return group

    def _new_flow(
        self,
        role: str,
        flow_id: str,
        source: SiteIdentity | None,
        service: ServiceKey,
        *,
        site: str = "",
    ) -> Flow:
        ready = self._targets.ready(service, source)
        return Flow(
            id=flow_id,
            role=role,
            protocol=service[0],
            address=service[1],
            peer_site=site if source is None else source.site,
            local=", ".join(each.connector.target for each in ready),
            opened_at=self._loop.clock(),
            source=source,
        )

    def _refuse(self, channel: Subchannel, request: Open, reason: Reason, detail: str) -> None:
        service = (request.protocol, request.address)
        flow = self._new_flow("egress", request.flow, channel.peer, service)
        self._flows.turn_away(flow, detail)
        channel.answer(Refused(reason, detail))

    def _membership_ended(self, membership: Membership, group: Group, _: Outcome) -> None:
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
            self._drops[DropCause.NOT_GENUINE] += 1
        else:
            found.deliver(data)
