"""All links of a router: dials those that it keeps, accepts those that others dial."""

import logging
import random
import ssl
import time
from collections.abc import Callable
from typing import Final

import attrs
import trio

from van.config import LinkConfig
from van.errors import LinkLost, LocalError, NotFound, RemoteError, StorageError
from van.names import Endpoint
from van.router import sockets
from van.router.conversation import Conversation
from van.router.events import EventKind, EventLog
from van.router.link import Link, exchange_hellos, make_hello
from van.router.routes import Routes
from van.router.settings import Settings
from van.router.trust import Trust
from van.tls.contexts import describe_tls_error
from van.wire.framing import Message
from van.wire.link import (
    ALPN,
    CODEC,
    MAX_MESSAGE,
    Advertisements,
    CostChange,
    Digest,
    Goodbye,
    Heartbeat,
    Request,
)

logger = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT: Final = 5.0
MIN_BACKOFF: Final = 0.1
MAX_BACKOFF: Final = 3.0
"""Seconds between attempts to dial: a neighbour that returns is found within this time."""
STEADY_AFTER: Final = 1.0
"""A link that lived this many seconds was a good one: the next attempt follows at once."""


@attrs.frozen
class LinkEvents:
    """Whom to tell of links."""

    opened: Callable[[Link], None]
    closed: Callable[[Link], None]
    received: Callable[[Link, Message], None]
    """Takes the messages that are not routing's; raises `RemoteProtocolError`."""


@attrs.define(eq=False)
class Dialer:
    """Keeps one link that this site dials; `detail` says how it stands while the link is down."""

    config: LinkConfig
    detail: str = "connecting"
    is_connecting: bool = True
    failure: str = ""
    """Why the last attempt came to nothing; empty after one that gave a link."""
    is_stopped: bool = False
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)


class Links:
    """Holds the links that are up, at most one to each neighbour, and the dialers."""

    def __init__(
        self,
        *,
        trust: Trust,
        routes: Routes,
        settings: Settings,
        events: LinkEvents,
        event_log: EventLog,
        incarnation: int,
    ) -> None:
        self.up: dict[str, Link] = {}
        self.dialers: dict[str, Dialer] = {}
        self._trust = trust
        self._routes = routes
        self._settings = settings
        self._events = events
        self._event_log = event_log
        self._incarnation = incarnation
        self._changed = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial every configured link, and again whenever one is lost, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for config in self._settings.config.links:
                self._start_dialer(config)
            task_status.started()
            await trio.sleep_forever()

    # -- what the router asks ------------------------------------------------------------------

    def send(self, neighbor: str, message: Message) -> None:
        """Queue a message to a neighbour; one whose link has just gone is passed over."""
        link = self.up.get(neighbor)
        if link is not None:
            link.send(message)

    def dial(self, config: LinkConfig) -> None:
        """Keep a link from now on, in the place of one to the same neighbour."""
        self._settings.put_link(config)
        self._stop_dialer(config.site)
        if config.site in self.up:
            self.up[config.site].close("dialled anew")
        self._start_dialer(config)

    def delete(self, neighbor: str, reason: str) -> None:
        """End a link and dial it no more; the neighbour is told. Raises `NotFound`."""
        link = self.up.get(neighbor)
        is_configured = self._settings.remove_link(neighbor)
        if link is None and not is_configured:
            raise NotFound(f"no link to site {neighbor!r}: see 'van link list'")
        self._stop_dialer(neighbor)
        if link is not None:
            link.is_deleted = True
            link.close(reason)

    def set_cost(self, neighbor: str, cost: int) -> None:
        """Change a link's cost for both sides. Raises `NotFound`."""
        link = self.up.get(neighbor)
        config = self._settings.link(neighbor)
        if link is None and config is None:
            raise NotFound(f"no link to site {neighbor!r}: see 'van link list'")
        if config is not None:
            self._keep_cost(config, cost)
        if link is not None:
            link.send(CostChange(cost))
            self._adopt_cost(link, cost)

    def silent(self, neighbor: str, silence: float) -> None:
        """Break off the link to a neighbour that has sent nothing for too long."""
        link = self.up.get(neighbor)
        if link is not None:
            link.close(f"silent for {silence:.1f} s")

    def close_all(self, reason: str) -> None:
        """End every link and dial no more; what is queued has gone out if `flush` was awaited."""
        for neighbor in list(self.dialers):
            self._stop_dialer(neighbor)
        for link in list(self.up.values()):
            link.close(reason)

    async def flush(self, timeout: float) -> None:
        """Wait for what is queued to go out."""
        with trio.move_on_after(timeout):
            for link in list(self.up.values()):
                await link.flushed()

    async def wait_all_closed(self, timeout: float) -> None:
        """Wait for every link to have ended."""
        with trio.move_on_after(timeout):
            while self.up:
                await self._changed.wait()

    async def changed(self) -> None:
        """Wait until some link has come up or gone."""
        await self._changed.wait()

    async def wait_up(self, neighbor: str, timeout: float) -> bool:
        """Wait for a link to be up; tell whether it is."""
        with trio.move_on_after(timeout):
            while neighbor not in self.up:
                await self._changed.wait()
        return neighbor in self.up

    # -- dialling ------------------------------------------------------------------------------

    def _start_dialer(self, config: LinkConfig) -> None:
        if self._nursery is None:
            raise RuntimeError("the links are not running")
        dialer = self.dialers[config.site] = Dialer(config)
        self._nursery.start_soon(self._keep, dialer)

    def _stop_dialer(self, neighbor: str) -> None:
        """Dial a neighbour no more; a link that is up goes on until it is closed."""
        dialer = self.dialers.pop(neighbor, None)
        if dialer is not None:
            dialer.is_stopped = True
            link = self.up.get(neighbor)
            if link is None or not link.is_outgoing:
                dialer.scope.cancel()

    async def _keep(self, dialer: Dialer) -> None:
        backoff = MIN_BACKOFF
        with dialer.scope:
            await self._absent(dialer.config.site)
            while not dialer.is_stopped:
                was_steady = await self._attempt(dialer)
                if was_steady:
                    backoff = MIN_BACKOFF
                await trio.sleep(backoff * random.uniform(0.75, 1.25))  # spreads only
                backoff = min(MAX_BACKOFF, backoff * 2)
                await self._absent(dialer.config.site)

    async def _absent(self, neighbor: str) -> None:
        """Wait for no link to be up: the neighbour's own, or one that is to be replaced."""
        while neighbor in self.up:
            await self._changed.wait()

    async def _attempt(self, dialer: Dialer) -> bool:
        """Try each address in turn until one gives a link; return when that has ended.

        Tells whether it was a good one.
        """
        failures = []
        for endpoint in dialer.config.addresses:
            began = time.monotonic()
            try:
                await self._dial(dialer, endpoint)
            except RemoteError as exc:
                failures.append(str(exc))
                logger.info("link to %s: %s", dialer.config.site, exc)
            except Exception:
                # A defect that one neighbour can reach must not end the links of the others.
                failures.append(f"{endpoint}: a defect, see the log")
                logger.exception("link to %s failed", dialer.config.site)
            else:
                return time.monotonic() - began > STEADY_AFTER
        dialer.is_connecting = False
        dialer.detail = "; ".join(failures)
        if dialer.detail != dialer.failure:
            dialer.failure = dialer.detail
            self._event_log.record(EventKind.LINK_FAILED, dialer.config.site, dialer.detail)
        return False

    async def _dial(self, dialer: Dialer, endpoint: Endpoint) -> None:
        sock = await sockets.dial(endpoint)
        context = self._trust.dialling_context(ALPN)
        try:
            with trio.fail_after(HANDSHAKE_TIMEOUT):
                tls = await sockets.handshake(context, sock, server_side=False)
        except trio.TooSlowError as exc:
            raise LinkLost(f"{endpoint} did not finish the TLS handshake") from exc
        except OSError as exc:
            raise LinkLost(f"{endpoint}: {describe_tls_error(exc).text}") from exc
        await self._converse(tls, endpoint, dialer)

    async def accept(self, tls: ssl.SSLSocket, remote: Endpoint) -> None:
        """Serve a link that a neighbour dialled; raises `RemoteError` when it comes to nothing."""
        await self._converse(tls, remote, None)

    async def _converse(self, tls: ssl.SSLSocket, remote: Endpoint, dialer: Dialer | None) -> None:
        conversation = Conversation(tls, CODEC, max_payload=MAX_MESSAGE)
        try:
            peer = self._trust.peer_site(tls).site
            expected = dialer.config.site if dialer else peer
            if peer != expected:
                raise LinkLost(f"{remote} is site {peer!r}, not {expected!r}")
            if peer == self._trust.site:
                raise LinkLost(f"{remote} is this site itself, or another of its name")
            ours = make_hello(
                site=self._trust.site,
                incarnation=self._incarnation,
                cost=dialer.config.cost if dialer else 1,
                can_issue=self._trust.credentials.authority is not None,
            )
            theirs = await exchange_hellos(conversation, ours, peer=peer)
            link = Link(
                neighbor=peer,
                is_outgoing=dialer is not None,
                cost=ours.cost if dialer else theirs.cost,
                hello=theirs,
                remote=remote,
                conversation=conversation,
            )
            await self._replace(link)
            await self._run_link(link, dialer)
        finally:
            conversation.close()

    async def _replace(self, link: Link) -> None:
        """Make way for a link by ending the one there is, or raise `LinkLost`.

        A connection dialled anew by the same side shows that the old one is dead. When both sides
        dial, the one dialled by the site whose name sorts first stays, which both agree on.
        """
        ours = self._trust.site
        dialled_by = ours if link.is_outgoing else link.neighbor
        # Several may wait for the same one to end: the first of them is then in the others' way.
        while (present := self.up.get(link.neighbor)) is not None:
            if present.is_outgoing != link.is_outgoing and dialled_by != min(ours, link.neighbor):
                reason = f"there is a link to site {ours!r} already"
                await link.conversation.send(Goodbye(reason, is_final=False))
                raise LinkLost(f"there is a link to site {link.neighbor!r} already")
            present.close("replaced by a newer connection")
            await self._changed.wait()

    async def _run_link(self, link: Link, dialer: Dialer | None) -> None:
        self.up[link.neighbor] = link
        way = "dialled at" if link.is_outgoing else "accepted from"
        self._event_log.record(
            EventKind.LINK_UP, link.neighbor, f"{way} {link.remote}, cost {link.cost}"
        )
        try:
            self._routes.link_opened(link.neighbor, cost=link.cost, hold_time=link.hold_time)
        except LocalError as exc:
            del self.up[link.neighbor]
            self._event_log.record(EventKind.LINK_DOWN, link.neighbor, str(exc))
            raise LinkLost(str(exc)) from exc
        if dialer is not None:
            dialer.detail, dialer.is_connecting, dialer.failure = "connecting", True, ""
        logger.info("%r is up", link)
        try:
            self._events.opened(link)
            self._notify()
            await link.run(self._receive)
        finally:
            logger.info("%r is down: %s", link, link.close_reason)
            self._event_log.record(EventKind.LINK_DOWN, link.neighbor, link.close_reason)
            if dialer is not None:
                dialer.detail = link.close_reason
            del self.up[link.neighbor]
            self._routes.link_closed(link.neighbor)
            self._events.closed(link)
            self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    # -- messages ------------------------------------------------------------------------------

    def _receive(self, link: Link, message: Message) -> None:
        try:
            self._obey(link, message)
        except StorageError as exc:
            # It counts while this router runs; a full disk is no reason to lose the link as well.
            logger.warning("what %s changed is not kept: %s", link.neighbor, exc)

    def _obey(self, link: Link, message: Message) -> None:
        match message:
            case Heartbeat() | Digest() | Request() | Advertisements():
                self._routes.receive(link.neighbor, message)
                return
            case CostChange():
                self._adopt_cost(link, message.cost)
                config = self._settings.link(link.neighbor)
                if config is not None:
                    self._keep_cost(config, message.cost)
            case Goodbye():
                link.close(f"the neighbour closed it: {message.reason}")
                if message.is_final:
                    self._stop_dialer(link.neighbor)
                    self._settings.remove_link(link.neighbor)
            case _:
                self._events.received(link, message)
        self._routes.heard(link.neighbor)

    def _keep_cost(self, config: LinkConfig, cost: int) -> None:
        kept = attrs.evolve(config, cost=cost)
        self._settings.put_link(kept)
        if config.site in self.dialers:
            self.dialers[config.site].config = kept

    def _adopt_cost(self, link: Link, cost: int) -> None:
        if cost != link.cost:
            self._event_log.record(
                EventKind.COST_CHANGED, link.neighbor, f"cost {cost}; before that, {link.cost}"
            )
        link.cost = cost
        self._routes.set_link_cost(link.neighbor, cost)
