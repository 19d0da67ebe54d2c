"""The ingress: listeners, local ports from which programs reach addresses."""

import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import trio

from van.config import ListenerConfig
from van.errors import PortInUse
from van.http.h1.request import RequestHead
from van.router.flow.flow import Flow
from van.router.flow.outcome import Ending
from van.router.forwarding.replicator import BranchContext
from van.router.ingress import datagram_listener as datagram_port
from van.router.ingress.context import IngressContext
from van.router.ingress.datagram_listener import DatagramPort
from van.router.ingress.dispatcher import Dispatcher
from van.router.ingress.http_session import HttpSession
from van.router.ingress.http_sessions import HttpSessions
from van.router.ingress.listener import Listener
from van.router.ingress.multicast import Sources
from van.router.ingress.multicast_stream import StreamSource
from van.router.ingress.ranking import Ranking
from van.router.ingress.reach import Reach
from van.router.ingress.request_transport import RequestTransport
from van.router.ingress.stream_transport import StreamTransport
from van.router.reactor import sockets
from van.router.reactor.connecting import open_listeners
from van.router.reactor.poller import READ
from van.wire.lsa import Binding

logger = logging.getLogger(__name__)


def _is_udp(config: ListenerConfig) -> bool:
    return config.protocol == "udp"


async def open_ports(config: ListenerConfig) -> list[socket.socket]:
    """Open the sockets of a listener; raise `PortInUse`."""
    open_all = datagram_port.open_ports if _is_udp(config) else open_listeners
    return await open_all(config.listen)


class Ingress:
    """Owns the listeners, and begins the flows of their clients.

    All in the event loop's thread. A listener that is added has a task among `tasks` until it is
    removed, or that is cancelled: then its port is closed, its UDP sessions end with it, and its
    TCP flows go on. Each flow gets an attempt, which is the dispatcher's from there
    until that says that it is over. `routes_changed` is to be called whenever the
    forwarding table is another, and when this site may reach other addresses than before.
    """

    def __init__(self, context: IngressContext, branches: BranchContext) -> None:
        self.listeners: list[Listener] = []
        self.sources = Sources(branches, context)
        """Send what UDP clients say to multicast addresses."""
        self._context = context
        self._limits = context.loop.limits
        self._dispatcher = Dispatcher(context)
        self._balancer = self.ranking.balancer
        self._stream_source = StreamSource(context)
        self.sessions = HttpSessions(context.loop)
        """The clients of HTTP."""

    @property
    def ranking(self) -> Ranking:
        """Return what says where flows go, and why."""
        return self._dispatcher.ranking

    @property
    def reach(self) -> Reach:
        """Return what says which sites let this one in."""
        return self._context.reach

    def bindings(self) -> set[Binding]:
        """Return what can be reached from here, for advertising."""
        return {
            Binding(address, protocol)
            for protocol, address in (each.service for each in self.listeners if each.is_allowed)
        }

    def add(self, listener: Listener) -> None:
        """Keep a listener from now on."""
        self.listeners.append(listener)
        self._context.tasks.start(self._keep, listener, end=listener.fail)

    def remove(self, listener: Listener) -> None:
        """Close a listener for good; its live flows go on."""
        self.listeners.remove(listener)
        listener.scope.cancel()
        self.sessions.drain(listener)

    def close(self) -> None:
        """Close every listener for good."""
        for listener in list(self.listeners):
            self.remove(listener)

    def routes_changed(self) -> None:
        """Look again which listeners and trees have somewhere to go."""
        self._context.reach.changed()
        for listener in self.listeners:
            listener.changed.set()
        self.ranking.routes_changed()
        self.sources.routes_changed()

    # -- listeners -----------------------------------------------------------------------------

    def _is_served(self, listener: Listener) -> bool:
        return listener.is_allowed and bool(self._context.reach.sites(listener.service))

    async def _keep(self, listener: Listener) -> None:
        with listener.scope:
            while True:
                if self._is_served(listener):
                    try:
                        await self._serve(listener)
                    except PortInUse as exc:
                        listener.fail(str(exc))
                        await trio.sleep(self._limits.reopen_interval)
                else:
                    listener.failure = ""
                    listener.not_allowed = self._context.reach.why_not(listener.service)
                    listener.changed = trio.Event()
                    await listener.changed.wait()

    async def _serve(self, listener: Listener) -> None:
        """Hold the port open until nothing serves the address any more."""
        listening = await open_ports(listener.config)
        listener.is_open = True
        listener.failure = ""
        listener.settled.set()
        serve = self._serve_datagrams if _is_udp(listener.config) else self._accept
        try:
            async with trio.open_nursery() as nursery:
                for sock in listening:
                    nursery.start_soon(serve, listener, sock)
                while self._is_served(listener):
                    listener.changed = trio.Event()
                    await listener.changed.wait()
                nursery.cancel_scope.cancel()
        finally:
            listener.is_open = False
            for sock in listening:
                sock.close()

    async def _serve_datagrams(self, listener: Listener, sock: socket.socket) -> None:
        await DatagramPort(self._context, self._dispatcher, self.sources, listener, sock).serve()

    async def _accept(self, listener: Listener, listening: socket.socket) -> None:
        """Have the loop accept clients, and pause when that fails."""
        while True:
            await self._accept_until_failure(listener, listening)
            await trio.sleep(self._limits.accept_pause)

    async def _accept_until_failure(self, listener: Listener, listening: socket.socket) -> None:
        failed = trio.Event()
        accept = partial(
            self._accept_one, listener, partial(sockets.accept, listening, listening.family), failed
        )
        watch = self._context.loop.watch(listening.fileno(), READ, accept, lambda _: failed.set())
        try:
            await failed.wait()
        finally:
            watch.close()

    def _accept_one(
        self,
        listener: Listener,
        accept: Callable[[], tuple[socket.socket, Any]],
        failed: trio.Event,
        _mask: int,
    ) -> None:
        """Take a client from the kernel's queue; if there are more, the poller says so."""
        try:
            client, address = accept()
        except BlockingIOError:
            return
        except OSError as exc:
            if exc.errno in sockets.LEFT_EARLY:
                return
            # Descriptors or memory ran out, which does not end the listener.
            logger.warning("can't accept at %s: %s", listener.config.listen, exc)
            failed.set()
            self._context.loop.yield_to_tasks()
            return
        if len(self._context.flows) + len(self.sessions) >= self._limits.max_flows:
            self._turn_away(listener, f"{address[0]}:{address[1]}")
            sockets.close_with_reset(client)
        elif listener.config.protocol == "http":
            self._begin_session(listener, client, f"{address[0]}:{address[1]}")
        else:
            self._begin(listener, client, f"{address[0]}:{address[1]}")

    # -- flows ---------------------------------------------------------------------------------

    def _begin(self, listener: Listener, client: socket.socket, local: str) -> None:
        """Have a client's flow carried to whom its address leads."""
        flow = self._dispatcher.begin(listener.service, local)
        listener.flows += 1
        attempt = StreamTransport(
            self._context,
            self._stream_source,
            self._balancer,
            listener.service,
            flow,
            client=client,
            takes_answer=listener.config.first_reply,
            on_over=partial(self._ended, listener, flow),
        )
        self._dispatcher.dispatch(attempt)

    def _begin_session(self, listener: Listener, client: socket.socket, local: str) -> None:
        """Have each request of a client carried to whom its address leads."""
        session = HttpSession(
            self._context.loop,
            client,
            local,
            begin=partial(self._begin_request, listener),
            dispatch=self._dispatcher.dispatch,
            on_close=self.sessions.remove,
        )
        self.sessions.add(session, listener)

    def _begin_request(
        self, listener: Listener, session: HttpSession, head: RequestHead
    ) -> RequestTransport:
        flow = self._dispatcher.begin(listener.service, session.client)
        listener.flows += 1
        return RequestTransport(
            self._context,
            self._balancer,
            listener.service,
            flow,
            session=session,
            head=head,
            on_over=partial(self._ended, listener, flow),
        )

    def _turn_away(self, listener: Listener, client: str) -> None:
        flow = self._dispatcher.new_flow(listener.service, client)
        self._context.flows.turn_away(flow, f"{self._limits.max_flows} flows already")

    def _ended(self, listener: Listener, flow: Flow, refusal: str) -> None:
        if refusal and not flow.detail:  # it was broken off from here
            flow.ending, flow.detail = Ending.RESET, refusal
        listener.last_refusal = refusal
        listener.flows -= 1
        self._context.flows.remove(flow)
