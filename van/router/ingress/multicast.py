"""The source's end of UDP multicast: what clients of this site send to one multicast address.

All clients of an address share a group. For each *generation* of it there is a key, a membership
of every site that serves the address, and a tree. Whatever changes, be it who is a member or where
the paths lead, makes a new generation, which is used once it stands; so who has left has no key to
what is sent from then on.
"""

import logging
import secrets
from typing import TYPE_CHECKING

import trio

from van.router.egress.multicast_group import NUMBER_SIZE, Group
from van.router.flow.datagrams import DatagramQueue
from van.router.flow.drops import DropCause
from van.router.forwarding.replicator import BranchContext
from van.router.ingress.context import IngressContext
from van.router.ingress.generation import Generation
from van.router.ingress.session import Session
from van.routing.paths.multicast_tree import Tree, trees_to
from van.routing.paths.service_index import ServiceKey

if TYPE_CHECKING:
    from van.wire.channel import Report

logger = logging.getLogger(__name__)


class GroupPath:
    """Takes one client's datagrams to all instances."""

    def __init__(self, source: "Source", number: int, session: Session) -> None:
        self.report: Report | None = None
        self._source = source
        self._number = number
        self._prefix = number.to_bytes(NUMBER_SIZE, "big")
        self._session = session

    def send(self, datagram: bytes | memoryview) -> None:
        """Send a datagram."""
        self._source.send(b"".join((self._prefix, datagram)))

    def end(self) -> None:
        """End the client's session."""
        self._session.path = None
        self._source.session_left(self._number)
        self._session.close()

    def abort(self, detail: str) -> None:
        """End the client's session: there is no other way to break it off."""
        self.end()


class Source:
    """What this site's clients send to one address."""

    def __init__(
        self,
        service: ServiceKey,
        context: BranchContext,
        ingress: IngressContext,
    ) -> None:
        self.service = service
        self.context = context
        self._bundles = ingress.bundles
        self._limits = context.loop.limits
        self._routes = ingress.routes
        self._reach = ingress.reach
        self._members = ingress.egress.members
        self._id = secrets.token_bytes(16)
        self._sessions: dict[int, Session] = {}
        """By the number that tells them apart at the instances."""
        self._last_number = 0
        self._idle = 0.0
        self._quiet_since = 0.0
        """When the last session ended."""
        self._here: Group | None = None
        """What instances at this site have of it, once there are some."""
        self._early = DatagramQueue()
        """What was sent before the first generation stood."""
        self._current: Generation | None = None
        self._last_generation = 0
        self._changed = trio.Event()
        """Set when the next generation is due."""
        self._rerouted = trio.Event()
        """Set when that is so because of the routes, or of who serves the address."""

    # -- sessions --------------------------------------------------------------------------

    def join(self, session: Session) -> None:
        """Let a client send to the group."""
        self._idle = max(self._idle, session.idle)
        self._last_number = number = (self._last_number + 1) % (1 << 8 * NUMBER_SIZE)
        self._sessions[number] = session
        path = GroupPath(self, number, session)
        early = session.joined(path)
        for datagram in early:
            path.send(datagram)

    def session_left(self, number: int) -> None:
        """Take note that a client's session has ended."""
        del self._sessions[number]
        self._quiet_since = trio.current_time()

    def send(self, data: bytes) -> None:
        """Send a client's datagram, its session's number in front, to every instance."""
        here, generation = self._members_here(), self._current
        if here is not None:
            here.deliver(data)
        if generation is None:
            self.context.drops[DropCause.NOT_PLACED] += self._early.add(data)
        elif not generation.send(data) and here is None:
            self.context.drops[DropCause.NO_INSTANCE] += 1

    def _members_here(self) -> Group | None:
        if self._here is None and self._members.has_instances(self.service):
            self._here = self._members.group_here(
                self._routes.fib.site, self.service, self._idle, self._heard_here
            )
        return self._here

    def _heard_here(self, number: int, datagram: memoryview) -> None:
        session = self._sessions.get(number)
        if session is not None:
            session.receive_reply(datagram)

    def _heard(self, data: memoryview) -> None:
        if len(data) >= NUMBER_SIZE:
            number = int.from_bytes(data[:NUMBER_SIZE], "big")
            self._heard_here(number, data[NUMBER_SIZE:])

    # -- generations -----------------------------------------------------------------------

    def routes_changed(self) -> None:
        """See whether the tree has to be laid anew."""
        current = self._current
        if current is None:
            return
        if self._wanted() != current.sites or self._trees(current) != current.trees:
            self._rerouted.set()
            self._changed.set()

    def _wanted(self) -> set[str]:
        here = self._routes.fib.site
        return {site for site in self._reach.sites(self.service) if site != here}

    def _trees(self, generation: Generation) -> tuple[Tree, ...]:
        fib = self._routes.fib
        return trees_to(fib.site, fib.routes, generation.members)

    async def run(self) -> None:
        """Keep a generation standing, until nobody has sent anything for a while."""
        limits = self._limits
        pause = limits.min_generation_pause
        try:
            while True:
                self._changed, self._rerouted = trio.Event(), trio.Event()
                generation = await self._stand_up()
                if self._current is not None and self._rerouted.is_set():
                    generation.end_memberships()  # it is out of date before it stands
                    await trio.sleep(limits.min_generation_pause)
                    continue
                self._use(generation)
                await trio.sleep(limits.min_generation_pause)
                if not await self._is_needed_until_changed():
                    break
                is_stable = trio.current_time() > generation.stands_since + limits.stable_after
                pause = (
                    limits.min_generation_pause
                    if is_stable
                    else min(limits.max_generation_pause, pause * 2)
                )
                with trio.move_on_after(pause):
                    await self._rerouted.wait()
        finally:
            self._end()

    async def _is_needed_until_changed(self) -> bool:
        """Wait until the next generation is due, and return True, or nobody needs the group."""
        while (
            self._sessions or trio.current_time() <= self._quiet_since + self._limits.group_lifetime
        ):
            if self._changed.is_set():
                return True
            with trio.move_on_after(self._limits.group_look_interval):
                await self._changed.wait()
        return False

    async def _stand_up(self) -> Generation:
        """Return a generation whose members have the key."""
        self._last_generation += 1
        generation = Generation(
            self.context,
            self._bundles,
            self.service,
            self._id,
            self._last_generation,
            on_reply=self._heard,
            on_broken=self._broken,
        )
        await generation.stand_up(self._wanted(), self._idle, self._rerouted)
        return generation

    def _use(self, generation: Generation) -> None:
        """Send along a new generation's tree from now on."""
        previous, self._current = self._current, generation
        generation.use(self._trees(generation))
        if previous is not None:
            previous.end()
            # What is still on its way on the old branches needs the old key.
            self.context.loop.call_later(self._limits.drain_timeout, previous.end_memberships)
        while self._early:
            generation.send(self._early.take())
        if len(generation.members) < len(generation.sites):
            self._broken(generation, "not every site is a member")
        self.routes_changed()  # they may have, while it was standing up

    def _broken(self, generation: Generation, where: str) -> None:
        """Have the next generation stand up, because somebody gets nothing more."""
        if generation is self._current and not generation.is_over and not generation.is_broken:
            generation.is_broken = True
            logger.debug("the tree of %s is laid anew: %s", self.service, where)
            self._changed.set()

    def _end(self) -> None:
        for session in list(self._sessions.values()):
            session.end()
        self.context.drops[DropCause.NO_INSTANCE] += self._early.clear()
        current, self._current = self._current, None
        if current is not None:
            current.end()
            current.end_memberships()
        here, self._here = self._here, None
        if here is not None:
            here.end()


class Sources:
    """A source for each multicast address that clients of this site send to."""

    def __init__(self, branches: BranchContext, context: IngressContext) -> None:
        self._branches = branches
        self._context = context
        self._sources: dict[ServiceKey, Source] = {}

    def join(self, session: Session) -> None:
        """Let a client send to every instance of its address."""
        service = session.service
        source = self._sources.get(service)
        if source is None:
            source = self._sources[service] = Source(service, self._branches, self._context)
            self._context.tasks.start(self._keep, source)
            self._context.loop.yield_to_tasks()
        source.join(session)

    def routes_changed(self) -> None:
        """Have each source look whether its tree still leads to everyone."""
        for source in self._sources.values():
            source.routes_changed()

    async def _keep(self, source: Source) -> None:
        try:
            await source.run()
        finally:
            del self._sources[source.service]
