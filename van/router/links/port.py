"""The one inbound port: TLS handshakes with limits, then one of three conversations.

A peer that has not authenticated costs one socket and one handshake, for a bounded time. When too
many are half-open, the oldest makes way, so that a flood can't keep a real peer out: that one is
through its handshake long before it is the oldest.
"""

import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
import trio

from van.errors import (
    CertificateError,
    JoinRefused,
    LinkDeclined,
    OtherRevision,
    PortInUse,
    RemoteError,
)
from van.names import Endpoint
from van.router.links.refusals import Refusals
from van.router.reactor import tls_io
from van.router.reactor.connecting import open_listeners
from van.router.reactor.supervisor import Tasks
from van.router.site.trust import Trust
from van.router.telemetry.events import EventKind, EventLog
from van.tls.connection import TlsConnection
from van.tls.failures import describe_tls_error
from van.wire import channel, join, link

HANDSHAKE_TIMEOUT: Final = 5.0
MAX_HALF_OPEN: Final = 512
"""Connections that may be in their handshake at one time."""
GREETING_TIMEOUT: Final = 10.0
"""Seconds for an authenticated peer to finish joining or greeting."""
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE: Final = 0.1


@attrs.frozen
class Conversations:
    """Who serves each conversation; each call owns its connection and may raise `RemoteError`."""

    join: Callable[[TlsConnection], Awaitable[None]]
    link: Callable[[TlsConnection, Endpoint], Awaitable[None]]
    channel: Callable[[TlsConnection], Awaitable[None]]


class LinkPort:
    """Listens, authenticates, and hands connections on."""

    def __init__(
        self,
        trust: Trust,
        conversations: Conversations,
        tasks: Tasks,
        refusals: Refusals,
        *,
        event_log: EventLog,
    ) -> None:
        self.refused = refusals.counts
        """Connections that came to nothing, by cause."""
        self.endpoint: Endpoint | None = None
        """Where the port is open, or None."""
        self.failure = ""
        """Why it is not open, though it is to be."""
        self._trust = trust
        self._conversations = conversations
        self._tasks = tasks
        self._refusals = refusals
        self._event_log = event_log
        self._half_open: dict[trio.CancelScope, None] = {}

    async def open(self, endpoint: Endpoint) -> None:
        """Open the port, and serve it until its tasks are cancelled; raise `PortInUse`."""
        listening = await open_listeners(endpoint)
        self.failure = ""
        port = listening[0].getsockname()[1]
        self.endpoint = Endpoint(endpoint.host, port)
        self._tasks.start(self._serve_all, listening)

    async def keep_opening(
        self,
        endpoint: Endpoint,
        pause: float,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Open the port as soon as that can be, with so many seconds between two attempts: its
        address may not be there yet, or something else may have the port.

        Started means that it was tried once.
        """
        while True:
            was_failing = bool(self.failure)
            try:
                await self.open(endpoint)
            except PortInUse as exc:
                if str(exc) != self.failure:
                    self.failure = str(exc)
                    self._event_log.record(EventKind.PORT_FAILED, str(endpoint), self.failure)
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                await trio.sleep(pause)
            else:
                if was_failing:
                    self._event_log.record(EventKind.PORT_OPEN, str(endpoint), "it is open")
                task_status.started()
                return

    async def _serve_all(self, listening: list[socket.socket]) -> None:
        try:
            async with trio.open_nursery() as nursery:
                for sock in listening:
                    nursery.start_soon(self._accept, sock)
        finally:
            self.endpoint = None
            for sock in listening:
                sock.close()

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            await trio.lowlevel.wait_readable(listening)
            try:
                sock, address = listening.accept()
            except BlockingIOError:
                continue
            except OSError as exc:
                if exc.errno not in _OUT_OF_RESOURCES:
                    self.refused["aborted"] += 1  # it left before it was accepted
                    continue
                self.refused["no-resources"] += 1
                await trio.sleep(_PAUSE)
                continue
            sock.setblocking(False)
            if len(self._half_open) >= MAX_HALF_OPEN:
                oldest = next(iter(self._half_open))
                del self._half_open[oldest]
                oldest.cancel()
            remote = Endpoint(str(address[0]), int(address[1]))
            self._tasks.start(self._serve, sock, remote, end=self._count_defect)

    async def _serve(self, sock: socket.socket, remote: Endpoint) -> None:
        try:
            tls = await self._shake_hands(sock, remote)
            if tls is not None:
                await self._converse(tls, remote)
        except (CertificateError, JoinRefused, LinkDeclined, OtherRevision) as exc:
            self._refusals.tell(exc.code, remote, str(exc), site=exc.site)
        except RemoteError as exc:
            self._refusals.record("conversation", remote, str(exc))

    def _count_defect(self, detail: str) -> None:
        self.refused["defect"] += 1

    async def _shake_hands(self, sock: socket.socket, remote: Endpoint) -> TlsConnection | None:
        scope = trio.CancelScope(deadline=trio.current_time() + HANDSHAKE_TIMEOUT)
        self._half_open[scope] = None
        try:
            with scope:
                context = self._trust.link_port_context()
                return await tls_io.handshake(context, sock, server_side=True)
            if scope in self._half_open:
                detail = "the TLS handshake took too long"
                self._refusals.record("handshake-timeout", remote, detail)
            else:
                self._refusals.record("too-many", remote, "it made way for a newer connection")
        except OSError as exc:
            failure = describe_tls_error(exc)
            take_note = self._refusals.tell if failure.is_news else self._refusals.record
            take_note(failure.cause, remote, failure.text)
        finally:
            self._half_open.pop(scope, None)
        return None

    async def _converse(self, tls: TlsConnection, remote: Endpoint) -> None:
        alpn = tls.alpn
        if alpn == link.ALPN:
            await self._conversations.link(tls, remote)
            return
        with trio.move_on_after(GREETING_TIMEOUT) as scope:
            if alpn == channel.ALPN:
                await self._conversations.channel(tls)
            elif alpn == join.ALPN:
                await self._conversations.join(tls)
            else:
                tls.close()
                self._refusals.record("no-conversation", remote, f"ALPN {alpn!r} is not ours")
        if scope.cancelled_caught:
            self._refusals.record("conversation-timeout", remote, f"{alpn} did not get under way")
