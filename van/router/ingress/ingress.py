"""The ingress: listeners, local ports from which programs reach addresses."""

import logging
import socket
from functools import partial

import trio

from van.config import ListenerConfig
from van.errors import PortInUse
from van.router.flow.table import Flow, Flows
from van.router.ingress import datagram_listener as datagram_port
from van.router.ingress.attempt import FlowAttempt
from van.router.ingress.datagram_dispatcher import Placer
from van.router.ingress.datagram_listener import DatagramPort
from van.router.ingress.dispatcher import Dispatcher
from van.router.ingress.listener import Listener
from van.router.ingress.multicast_stream import StreamSource
from van.router.links.routes import Routes
from van.router.reactor import sockets
from van.router.reactor.loop import EventLoop
from van.router.reactor.poller import READ
from van.router.reactor.sockets import open_listeners
from van.router.reactor.tasks import Tasks
from van.wire.lsa import Binding, Distribution

logger = logging.getLogger(__name__)


def _is_udp(config: ListenerConfig) -> bool:
    return config.protocol == "udp"


async def open_ports(config: ListenerConfig) -> list[socket.socket]:
    """Open the sockets of a listener; raise `PortInUse`."""
    open_all = datagram_port.open_ports if _is_udp(config) else open_listeners
    return await open_all(config.listen)


class Ingress:
    """Owns the listeners, and begins the flows of their clients."""

    def __init__(
        self,
        *,
        loop: EventLoop,
        flows: Flows,
        routes: Routes,
        dispatcher: Dispatcher,
        placer: Placer,
        streams: StreamSource,
    ) -> None:
        self.listeners: list[Listener] = []
        self.tasks = Tasks()
        """Those of listeners."""
        self._loop = loop
        self._limits = loop.limits
        self._flows = flows
        self._routes = routes
        self._dispatcher = dispatcher
        self._placer = placer
        self._streams = streams

    def bindings(self) -> set[Binding]:
        """Return what can be reached from here, for advertising."""
        return {
            Binding(address, protocol)
            for protocol, address in (each.service for each in self.listeners if each.is_allowed)
        }

    def add(self, listener: Listener) -> None:
        """Keep a listener from now on."""
        self.listeners.append(listener)
        self.tasks.start(self._keep, listener)

    def remove(self, listener: Listener) -> None:
        """Close a listener for good; its live flows go on."""
        self.listeners.remove(listener)
        listener.scope.cancel()

    def close(self) -> None:
        """Close every listener for good."""
        for listener in list(self.listeners):
            self.remove(listener)

    def routes_changed(self) -> None:
        """Look again which listeners have somewhere to go."""
        for listener in self.listeners:
            listener.changed.set()

    # -- listeners -----------------------------------------------------------------------------

    def _is_served(self, listener: Listener) -> bool:
        return listener.is_allowed and listener.service in self._routes.fib.services

    async def _keep(self, listener: Listener) -> None:
        with listener.scope:
            while True:
                if self._is_served(listener):
                    try:
                        await self._serve(listener)
                    except PortInUse as exc:
                        listener.failure = str(exc)
                        listener.settled.set()
                        await trio.sleep(self._limits.reopen_interval)
                else:
                    listener.failure = ""
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
        await DatagramPort(self._loop, self._flows, self._placer, listener, sock).serve()

    async def _accept(self, listener: Listener, listening: socket.socket) -> None:
        """Have the loop accept clients, and pause when that fails."""
        while True:
            await self._accept_until_failure(listener, listening)
            await trio.sleep(self._limits.accept_pause)

    async def _accept_until_failure(self, listener: Listener, listening: socket.socket) -> None:
        failed = trio.Event()
        accept = partial(self._accept_one, listener, listening, failed)
        watch = self._loop.watch(listening.fileno(), READ, accept, lambda _: failed.set())
        try:
            await failed.wait()
        finally:
            watch.close()

    def _accept_one(
        self, listener: Listener, listening: socket.socket, failed: trio.Event, _mask: int
    ) -> None:
        """Take a client from the kernel's queue; if there are more, the poller says so."""
        try:
            client, address = listening.accept()
        except BlockingIOError:
            return
        except OSError as exc:
            # The client left early, or descriptors ran out: neither ends the listener.
            logger.warning("can't accept at %s: %s", listener.config.listen, exc)
            failed.set()
            self._loop.yield_to_tasks()
            return
        client.setblocking(False)
        if len(self._flows) >= self._limits.max_flows:
            self._flows.refused += 1
            sockets.close_with_reset(client)
        else:
            self._begin(listener, client, f"{address[0]}:{address[1]}")

    # -- flows ---------------------------------------------------------------------------------

    def _begin(self, listener: Listener, client: socket.socket, local: str) -> None:
        """Have a client's flow carried to the best instance, or to all of them."""
        flow = Flow(
            id=self._flows.new_id(),
            role="ingress",
            protocol=listener.service[0],
            address=listener.service[1],
            peer_site="",
            local=local,
            opened_at=self._loop.clock(),
        )
        listener.flows += 1
        self._flows.add(flow)
        ended = partial(self._ended, listener, flow)
        if self._routes.fib.distribution(listener.service) is Distribution.MULTICAST:
            takes_answer = listener.config.first_reply
            self._streams.begin(flow, client, takes_answer=takes_answer, on_end=ended)
            return
        self._dispatcher.dispatch(
            FlowAttempt(
                listener.service,
                flow,
                client,
                self._dispatcher.balancer,
                ended,
                limits=self._limits,
            )
        )

    def _ended(self, listener: Listener, flow: Flow, refusal: str) -> None:
        listener.last_refusal = refusal
        listener.flows -= 1
        self._flows.remove(flow)
