"""A UDP port of a listener: tells clients apart by their addresses, and answers from its socket."""

import logging
import socket
from typing import Final

import trio

from van.errors import PortInUse
from van.names import Endpoint
from van.router.flow.datagrams import ReadBudget
from van.router.flow.drops import DropCause, Drops
from van.router.flow.outcome import Ending
from van.router.ingress.ageing import Ages
from van.router.ingress.client_socket import Client, client_socket
from van.router.ingress.context import IngressContext
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
        self.context = context
        self.clock = context.loop.clock
        self.sources = sources
        """Of what goes to all instances."""
        self.drops: Drops = context.flows.dropped_datagrams
        self.sock = client_socket(sock, self.drops)
        self.ages = Ages(listener.config.idle, context.loop.limits, context.sessions)
        self.sessions: dict[Client, Session] = {}
        self._limits = context.loop.limits
        self._buffer = context.loop.buffer
        self._dispatcher = dispatcher
        self._listener = listener
        self._fd = sock.fileno()
        self._has_some = trio.Event()
        self._budget = ReadBudget(READS_PER_TURN, self.clock)
        self._current: Session | None = None
        """The one whose datagram is being handed on."""

    async def serve(self) -> None:
        """Serve clients until cancelled; then all sessions end."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_idle_ones)
                while True:
                    await self._receive_until_failure()
                    await trio.sleep(RETRY_PAUSE)
        finally:
            self.sock.count_drops()
            for session in list(self.sessions.values()):
                session.end()

    async def _receive_until_failure(self) -> None:
        failed = trio.Event()
        watch = self.context.loop.watch(self._fd, READ, self._receive, lambda _: failed.set())
        try:
            await failed.wait()
        finally:
            watch.close()

    async def _end_idle_ones(self) -> None:
        while True:
            await self._has_some.wait()
            self.ages.idle = self._listener.config.idle
            await trio.sleep(min(self.ages.shortest * SWEEP_PART, MAX_SWEEP_INTERVAL))
            self.ages.now = self.clock()
            for session in self.ages.expired(self.ages.now):
                session.end()
            self.sock.count_drops()
            if not self.sessions:
                self._has_some = trio.Event()

    # -- from clients ------------------------------------------------------------------------------

    def _receive(self, _mask: int) -> None:
        self.context.loop.defects.call(self._read, "a session", end=self._abort_current)

    def _abort_current(self, detail: str) -> None:
        if self._current is not None:
            self._current.abort(detail)

    def _read(self) -> None:
        receive, buffer, budget = self.sock.receive, self._buffer, self._budget
        for taken in range(budget.count):
            try:
                count, client = receive(buffer)
            except BlockingIOError:
                budget.took(taken)
                return
            except OSError as exc:  # what an earlier reply met; who sent it is not said
                logger.debug("at %s: %s", self._listener.config.listen, exc)
                continue
            if count > MAX_DATAGRAM:
                self.drops[DropCause.TOO_LARGE] += 1
                continue
            session = self._current = self.sessions.get(client)
            if session is not None and session.is_live:
                session.send(buffer[:count])
            else:
                self._begin(client, buffer[:count])
        budget.took(taken + 1)

    def _begin(self, client: Client, datagram: memoryview) -> None:
        """Begin a client's session, or drop its datagram if there are too many that are needed."""
        if not self._has_room() and not self._make_room():
            self.drops[DropCause.TOO_MANY_SESSIONS] += 1
            return
        listener, address = self._listener, self.sock.address(client)
        self.ages.now = self.clock()
        flow = self._dispatcher.begin(listener.service, str(Endpoint(address[0], address[1])))
        balancer, idle = self._dispatcher.ranking.balancer, listener.config.idle
        session = self._current = Session(
            self, balancer, listener.service, flow, client=client, idle=idle
        )
        self.ages.add(session)
        flow.carried_by(session)
        self.sessions[client] = session
        listener.flows += 1
        self._has_some.set()
        session.send(datagram)
        self._dispatcher.dispatch(session)

    def _has_room(self) -> bool:
        limits, context = self._limits, self.context
        return (
            len(self.ages) < limits.max_port_sessions
            and len(context.sessions) < limits.max_sessions
            and len(context.flows) < limits.max_flows
        )

    def _make_room(self) -> bool:
        """End the session that can be done without the most; tell whether there is one."""
        session = self.ages.next_to_go(self.clock())
        if session is None:
            return False
        session.end()
        return True

    # -- from sessions -----------------------------------------------------------------------------

    def ended(self, session: Session, refusal: str) -> None:
        """Forget a session, and take why nobody took it, if that is so."""
        if self.sessions.get(session.client) is session:  # and not the client's next one already
            del self.sessions[session.client]
        if session.is_opened or refusal:
            self._listener.last_refusal = refusal
        self._listener.flows -= 1
        flow = session.flow
        if refusal and not flow.detail:  # it was broken off from here
            flow.ending, flow.detail = Ending.RESET, refusal
        self.context.flows.remove(flow)
