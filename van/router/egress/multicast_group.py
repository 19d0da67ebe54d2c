"""What one source sends to one multicast address, at the instances of a site.

At an instance each client of the source is told apart from the others by a socket of its own.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs
import trio

from van.router.egress.instance import Instance, judge
from van.router.egress.targets import Targets
from van.router.flow.datagram_socket import DatagramTarget, connect_target
from van.router.flow.drops import DropCause, Drops
from van.router.flow.flow import Flow
from van.router.reactor.loop import EventLoop
from van.routing.paths.service_index import ServiceKey

if TYPE_CHECKING:
    from van.router.egress.membership import MemberFlow

logger = logging.getLogger(__name__)

NUMBER_SIZE: Final = 4
"""Bytes in front of a datagram that say whose it is: the number of the client's session."""
SWEEP_PART: Final = 0.125
"""Part of the idle time between two looks at which sessions are idle."""
MIN_SWEEP_INTERVAL: Final = 0.1
MAX_SWEEP_INTERVAL: Final = 5.0

Reply = Callable[[int, memoryview], None]
"""Takes a session's number and what an instance says to that client, in a view that is valid during
the call only."""


@attrs.define(eq=False)
class GroupContext:
    """What all groups at a site share: the means, and the sockets that they have to instances."""

    loop: EventLoop
    targets: Targets
    drops: Drops
    sockets: int = 0


@attrs.define(eq=False)
class _Session:
    """What one client of a source has here."""

    last_active: float
    targets: dict[Instance, DatagramTarget] = attrs.field(factory=dict)


class Group:
    """What one source sends to one address, at the instances of this site."""

    def __init__(
        self,
        context: GroupContext,
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
        self._context = context
        self._sessions: OrderedDict[int, _Session] = OrderedDict()
        """Those whose clients sent nothing for the longest first."""
        self._instances: set[Instance] = set()
        self._bytes_in = 0
        self._bytes_out = 0
        self._scope = trio.CancelScope()

    def deliver(self, data: bytes) -> None:
        """Give every instance a copy of what one client has sent, its session's number in front."""
        number, now = int.from_bytes(data[:NUMBER_SIZE], "big"), self._context.loop.clock()
        session = self._sessions.get(number)
        if session is None:
            if not self._has_room(now):
                self._context.drops[DropCause.TOO_MANY_SESSIONS] += 1
                return
            session = self._sessions[number] = _Session(now)
        self._sessions.move_to_end(number)
        session.last_active = now
        datagram = memoryview(data)[NUMBER_SIZE:]
        self._bytes_in += len(datagram)
        ready = self._ready()
        if len(session.targets) > len(ready):
            self._leave_out(session, ready)
        for instance in ready:
            target = session.targets.get(instance) or self._open(number, session, instance)
            if target is not None:
                target.send(datagram)

    def _has_room(self, now: float) -> bool:
        """Tell whether one more client can be told apart; the one that sent nothing for the longest
        makes way, unless it may still be answered."""
        limits = self._context.loop.limits
        if len(self._sessions) < limits.max_group_sessions:
            return True
        number, oldest = next(iter(self._sessions.items()))
        if oldest.last_active > now - limits.answer_timeout:
            return False
        self._leave_out(oldest, [])
        del self._sessions[number]
        return True

    def _open(self, number: int, session: _Session, instance: Instance) -> DatagramTarget | None:
        context = self._context
        if context.sockets >= context.loop.limits.max_group_sockets:
            context.drops[DropCause.TOO_MANY_SESSIONS] += 1
            return None
        try:
            sock = connect_target(instance.place)
        except OSError as exc:
            context.targets.found(instance, judge(exc))
            return None
        context.sockets += 1
        target = session.targets[instance] = DatagramTarget(
            context.loop,
            sock,
            context.drops,
            on_datagram=partial(self._heard, number, session),
            on_failure=partial(self._failed, session, instance),
        )
        if instance not in self._instances:
            self._instances.add(instance)
            instance.backlog.add(self.flow)
        return target

    def _heard(self, number: int, session: _Session, datagram: memoryview) -> None:
        session.last_active = self._context.loop.clock()
        self._bytes_out += len(datagram)
        self._reply(number, datagram)

    def _failed(self, session: _Session, instance: Instance, reason: str) -> None:
        del session.targets[instance]
        self._context.sockets -= 1
        self._context.targets.refused(instance, reason)

    def _leave_out(self, session: _Session, ready: list[Instance]) -> None:
        """Send nothing more to instances that are gone, or drained."""
        for instance in [each for each in session.targets if each not in ready]:
            self._close(session, instance)

    def _close(self, session: _Session, instance: Instance) -> None:
        session.targets.pop(instance).close()
        self._context.sockets -= 1

    def _send_reply(self, number: int, datagram: memoryview) -> None:
        membership = next(reversed(self.memberships.values()), None)
        if membership is not None:
            membership.send(number.to_bytes(NUMBER_SIZE, "big") + datagram)

    # -- life ------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Close what is idle, and let go of instances that are gone, until the group ends."""
        interval = min(max(self.idle * SWEEP_PART, MIN_SWEEP_INTERVAL), MAX_SWEEP_INTERVAL)
        with self._scope:
            while True:
                await trio.sleep(interval)
                self._sweep(self._context.loop.clock() - self.idle)

    def _sweep(self, last: float) -> None:
        ready = self._ready()
        for number, session in list(self._sessions.items()):
            self._leave_out(session, ready if session.last_active >= last else [])
            if session.last_active < last:
                del self._sessions[number]
        for instance in self._instances.difference(ready):
            self._let_go(instance)

    def _let_go(self, instance: Instance) -> None:
        self._instances.discard(instance)
        instance.backlog.remove(self.flow)
        self._context.targets.flow_left(instance)

    def _ready(self) -> list[Instance]:
        return self._context.targets.ready(self.service, self.flow.source)

    def leave_unwelcome(self) -> None:
        """Let go of instances that the source may not reach any more; break off if none is left."""
        targets, source = self._context.targets, self.flow.source
        ready = self._ready()
        why = targets.why_not(self.service, source) if not ready and source is not None else ""
        if why:
            self.abort(f"not allowed: {why}")
            return
        for session in self._sessions.values():
            self._leave_out(session, ready)
        for instance in self._instances.difference(ready):
            self._let_go(instance)

    def end(self) -> None:
        """Close everything; a second call does nothing."""
        self._scope.cancel()
        self._reply = _unheard
        for session in self._sessions.values():
            self._leave_out(session, [])
        self._sessions.clear()
        for instance in list(self._instances):
            self._let_go(instance)
        self.flow.carried_by(None)

    def meter(self) -> tuple[int, int]:
        """Return how many bytes came for the instances, and how many they have sent."""
        return self._bytes_in, self._bytes_out

    def abort(self, detail: str) -> None:
        """Break it off."""
        for membership in list(self.memberships.values()):
            membership.abort(detail)


def _unheard(_number: int, _datagram: memoryview) -> None:
    """Take a reply that is of no interest any more."""
