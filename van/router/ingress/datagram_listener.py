"""A UDP port of a listener: tells clients apart by their addresses, and answers from its socket."""

import logging
import socket
from functools import partial
from typing import Final

import trio

from van.errors import PortInUse
from van.names import Endpoint
from van.router.flow.datagram_socket import note_failed_send
from van.router.flow.datagrams import ReadBudget
from van.router.flow.drops import DropCause, Drops
from van.router.flow.outcome import Ending
from van.router.ingress.ageing import Ages
from van.router.ingress.client_socket import Client, client_socket
from van.router.ingress.context import IngressContext
from van.router.ingress.datagram_transport import DatagramTransport
from van.router.ingress.dispatcher import Dispatcher
from van.router.ingress.listener import Listener
from van.router.ingress.multicast import Sources
from van.router.ingress.session import Session
from van.router.reactor.binding import bind_all
from van.router.reactor.poller import READ
from van.router.reactor.sockets import describe
from van.wire.channel import MAX_DATAGRAM

logger = logging.getLogger(__name__)

READS_PER_TURN: Final = 32
"""Datagrams that one port may give before other sockets have their turn."""
RECEIVE_BUFFER: Final = 1 << 20
"""Bytes that the kernel is asked to keep of what clients send while other things are done; it
counts each small datagram as some 800, and often allows no more than 400 kB."""
SWEEP_PART: Final = 0.125
"""Part of the shortest idle time between two looks at which sessions are idle."""
MAX_SWEEP_INTERVAL: Final = 5.0
RETRY_PAUSE: Final = 0.05
"""Seconds before a port is used again after a defect."""


async def open_ports(endpoint: Endpoint) -> list[socket.socket]:
    """Open non-blocking UDP sockets for every address of an endpoint; raise `PortInUse`."""
    opened: list[socket.socket] = []
    try:
        opened = await bind_all(endpoint, socket.SOCK_DGRAM)
        for sock in opened:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    except OSError as exc:
        for sock in opened:
            sock.close()
        raise PortInUse(
            f"can't open port {endpoint}: {describe(exc)}; choose another port, "
            "or see what uses it with 'ss -lunp'"
        ) from exc
    return opened


class DatagramPort:
    """One UDP socket, and the sessions of its clients; does not own the socket."""

    def __init__(
        self,
        context: IngressContext,
        dispatcher: Dispatcher,
        sources: Sources,
        listener: Listener,
        sock: socket.socket,
    ) -> None:
        self.sessions: dict[Client, Session] = {}
        self._context = context
        self._loop = context.loop
        self._limits = context.loop.limits
        self._dispatcher = dispatcher
        self._sources = sources
        self._listener = listener
        self._fd = sock.fileno()
        self._sock = client_socket(sock)
        self._drops: Drops = context.flows.dropped_datagrams
        self._has_some = trio.Event()
        self._budget = ReadBudget(READS_PER_TURN, context.loop.clock)
        self._ages = Ages(listener.config.idle, context.loop.limits, context.sessions)
        self._busy: set[Session] = set()
        """Sessions with datagrams that wait for others that came together with them."""
        self._current: Session | None = None
        """The one whose datagram is being handed on."""
        self._containment = context.loop.defects.contain("a session", end=self._abort_current)

    async def serve(self) -> None:
        """Serve clients until cancelled; then all sessions end."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_idle_ones)
                while True:
                    await self._receive_until_failure()
                    await trio.sleep(RETRY_PAUSE)
        finally:
            self._count_drops()
            for session in list(self.sessions.values()):
                session.end()

    async def _receive_until_failure(self) -> None:
        failed = trio.Event()
        watch = self._loop.watch(self._fd, READ, self._receive, lambda _: failed.set())
        try:
            await failed.wait()
        finally:
            watch.close()

    async def _end_idle_ones(self) -> None:
        while True:
            await self._has_some.wait()
            self._ages.idle = self._listener.config.idle
            await trio.sleep(min(self._ages.shortest * SWEEP_PART, MAX_SWEEP_INTERVAL))
            for session in self._ages.expired(self._loop.clock()):
                session.end()
            self._count_drops()
            if not self.sessions:
                self._has_some = trio.Event()

    def _count_drops(self) -> None:
        """Count what the kernel had no room for since the last look."""
        if dropped := self._sock.new_drops():
            self._drops[DropCause.SOCKET_FULL] += dropped

    # -- from clients ------------------------------------------------------------------------------

    def _receive(self, _mask: int) -> None:
        are_many = self._budget.count > 1
        taken = 0
        while taken < self._budget.count and self._receive_one(are_many=are_many):
            taken += 1
        self._budget.took(taken)
        while self._busy:
            self._busy.pop().release()

    def _receive_one(self, *, are_many: bool) -> bool:
        """Hand a datagram on; tell whether there may be another one."""
        try:
            count, client = self._sock.receive(self._loop.payload)
        except BlockingIOError:
            return False
        except OSError as exc:  # what an earlier reply met; who sent it is not said
            logger.debug("at %s: %s", self._listener.config.listen, exc)
            return True
        if count > MAX_DATAGRAM:
            self._drops[DropCause.TOO_LARGE] += 1
            return True
        session = self.sessions.get(client)
        is_new = session is None or not session.is_live
        if is_new:
            session = self._begin(client)
        if session is None:
            self._drops[DropCause.TOO_MANY_SESSIONS] += 1
            return True
        if are_many:
            self._busy.add(session)
        self._current = session
        with self._containment:
            session.send_payload(count, may_wait=are_many)
            if is_new:
                transport = DatagramTransport(self._context, self._sources, session)
                self._dispatcher.dispatch(session.attempt, transport)
        return True

    def _abort_current(self, detail: str) -> None:
        if self._current is not None:
            self._current.abort(detail)

    def _begin(self, client: Client) -> Session | None:
        """Return a new session for a client, or None if there are too many that are needed."""
        if not self._has_room() and not self._make_room():
            return None
        listener, address = self._listener, self._sock.address(client)
        attempt = self._dispatcher.begin(listener.service, str(Endpoint(address[0], address[1])))
        session = Session(
            self._loop,
            attempt,
            self._drops,
            idle=listener.config.idle,
            ages=self._ages,
            reply=partial(self._reply, client),
            on_end=partial(self._ended, client),
        )
        self._ages.add(session)
        attempt.flow.carried_by(session)
        self.sessions[client] = session
        listener.flows += 1
        self._has_some.set()
        return session

    def _has_room(self) -> bool:
        limits, context = self._limits, self._context
        return (
            len(self._ages) < limits.max_port_sessions
            and len(context.sessions) < limits.max_sessions
            and len(context.flows) < limits.max_flows
        )

    def _make_room(self) -> bool:
        """End the session that can be done without the most; tell whether there is one."""
        session = self._ages.next_to_go(self._loop.clock())
        if session is None:
            return False
        session.end()
        return True

    def _reply(self, client: Client, data: memoryview) -> None:
        """Send a datagram to a client, or drop and count it."""
        try:
            self._sock.reply(client, data)
        except OSError as exc:
            if not note_failed_send(exc, self._drops):
                # What an earlier one met, or a client that can't be reached: it may be again.
                self._drops[DropCause.LOCAL_BLOCKED] += 1

    def _ended(self, client: Client, session: Session, refusal: str) -> None:
        if self.sessions.get(client) is session:  # and not the client's next one already
            del self.sessions[client]
        if session.is_opened or refusal:
            self._listener.last_refusal = refusal
        self._listener.flows -= 1
        flow = session.attempt.flow
        if refusal and not flow.detail:  # it was broken off from here
            flow.ending, flow.detail = Ending.RESET, refusal
        self._context.flows.remove(flow)
