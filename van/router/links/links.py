"""All links of a router: dials those that it keeps, accepts those that others dial."""

import logging
import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import trio

from van.config import DEFAULT_HOLD, LinkConfig
from van.errors import (
    CertificateError,
    LinkDeclined,
    LinkLost,
    LocalError,
    NotFound,
    StorageError,
)
from van.names import Endpoint
from van.router.links.clocks import clock_offset, describe_offset
from van.router.links.copies import (
    describe_copy,
    has_ended,
    is_elder,
    refuse_copy,
    tell_of_both,
    tell_of_copy,
)
from van.router.links.dialer import Dialer, Dialers
from van.router.links.join_server import JoinServer
from van.router.links.link import (
    Link,
    decline,
    hold_time_of,
    make_hello,
    receive_hello,
)
from van.router.links.returning import Returner
from van.router.links.routes import Routes
from van.router.links.table import LinkTable
from van.router.links.terms import LinkTerms, describe_cost
from van.router.reactor import sockets
from van.router.reactor.message_stream import MessageStream
from van.router.reactor.supervisor import Tasks
from van.router.site.state import SiteState
from van.router.subscription import Subscribers
from van.router.telemetry.events import EventKind, EventLog
from van.routing.actions import IdentityShared
from van.routing.database.keyring import outranks
from van.tls.connection import TlsConnection
from van.tls.identity import SiteIdentity
from van.wire.framing import Message
from van.wire.link import (
    CODEC,
    MAX_MESSAGE,
    CopyFound,
    CostChange,
    Goodbye,
    Hello,
    HoldChange,
    Ping,
    Pong,
    RoutingMessage,
)

logger = logging.getLogger(__name__)

MAKE_WAY: Final = 300.0
"""Seconds for which a copy keeps away before it looks whether the first one is still there."""

AnyMessage = TypeVar("AnyMessage", bound=Message)


class Links:
    """Brings links up and takes them down, and hands on what comes over them.

    All in trio's thread. Each link runs in the task of the connection that it came with: of its
    dialer, or of the link port. `opened` and `closed` are told between the change in the table and
    its waiters, and both in the same task, so that a link is closed after it was opened, once.
    """

    def __init__(
        self,
        site: SiteState,
        routes: Routes,
        table: LinkTable,
        event_log: EventLog,
        tasks: Tasks,
        *,
        join_server: JoinServer,
    ) -> None:
        self.up = table.up
        self.table = table
        self.opening: Subscribers[[Link]] = Subscribers()
        """Told of a link on which nothing has been sent yet but the hello."""
        self.opened: Subscribers[[Link]] = Subscribers()
        self.closed: Subscribers[[Link]] = Subscribers()
        self._site = site
        self._trust = site.trust
        self._routes = routes
        self._settings = site.settings
        self._event_log = event_log
        self._has_links_at = -math.inf
        """When this router may have links again, after it has made way for another."""
        self._handlers: dict[type[Message], Callable[[Link, Any], None]] = {}
        self._dialing = Dialers(
            site.trust,
            event_log,
            tasks,
            Returner(site),
            join_server,
            converse=self._converse,
            absent=table.absent,
        )
        self.terms = LinkTerms(site.settings, routes, event_log, table.up, self._dialing)

    def handle(self, kind: type[AnyMessage], handler: Callable[[Link, AnyMessage], None]) -> None:
        """Have messages of one kind taken that are not routing's; the handler may raise
        `RemoteProtocolError`, to be rid of the neighbour."""
        self._handlers[kind] = handler

    @property
    def dialers(self) -> dict[str, Dialer]:
        """Return the dialers, by neighbour."""
        return self._dialing.by_neighbor

    def dial_configured(self) -> None:
        """Dial every configured link, and again whenever one is lost."""
        for config in self._settings.config.links:
            self._dialing.start(config)

    # -- what is asked for ---------------------------------------------------------------------

    def dial(self, config: LinkConfig, *, first: Endpoint | None = None) -> None:
        """Keep a link from now on, in the place of one to the same neighbour; `first` is which of
        its addresses is known to answer."""
        self._settings.put_link(config)
        self._stop_dialer(config.site)
        if config.site in self.up:
            self.up[config.site].close("dialled anew")
        self._dialing.start(config, first=first)

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

    def close_all(self, reason: str) -> None:
        """End every link and dial no more; what is queued has gone out if `flush` was awaited."""
        for neighbor in list(self.dialers):
            self._stop_dialer(neighbor)
        for link in list(self.up.values()):
            link.close(reason)

    def identity_shared(self, found: IdentityShared) -> None:
        """Tell that two routers run with one site's keys; if this is the younger of them, let go of
        all links, and have none for a while."""
        if found.must_make_way:
            reason = describe_copy(found.site, "another site of the network")
            self._has_links_at = trio.current_time() + MAKE_WAY
            self._dialing.hold_back(MAKE_WAY)
            for link in list(self.up.values()):
                link.close(reason)
        tell_of_both(self._event_log, found.site, makes_way=found.must_make_way)

    # -- conversations -----------------------------------------------------------------------

    def _stop_dialer(self, neighbor: str) -> None:
        link = self.up.get(neighbor)
        self._dialing.stop(neighbor, is_carrying=link is not None and link.is_outgoing)

    async def accept(self, tls: TlsConnection, remote: Endpoint) -> None:
        """Serve a link that a neighbour dialled; raises `RemoteError` when it comes to nothing."""
        await self._converse(tls, remote, None)

    async def _converse(self, tls: TlsConnection, remote: Endpoint, dialer: Dialer | None) -> None:
        conversation = MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)
        try:
            identity = await self._identify(tls, conversation)
            peer = identity.site
            if trio.current_time() < self._has_links_at:
                reason = describe_copy(self._trust.site, "another site of the network")
                await decline(conversation, reason)
                raise LinkLost("this router makes way for another one with the keys of its site")
            expected = dialer.config.site if dialer else peer
            if peer != expected:
                raise LinkLost(f"{remote} is site {peer!r}, not {expected!r}")
            if peer == self._trust.site:
                raise LinkLost(f"{remote} is this site itself, or another of its name")
            ours = self._hello(dialer)
            if dialer is not None:
                await conversation.send(ours)
            theirs = await receive_hello(conversation, peer=peer, site=self._trust.site)
            link = Link(
                neighbor=peer,
                is_outgoing=dialer is not None,
                cost=ours.cost if dialer else theirs.cost,
                hold_time=hold_time_of(ours if dialer else theirs),
                origin=self._trust.member(identity),
                hello=theirs,
                remote=remote,
                conversation=conversation,
                peer=sockets.peer_of(tls.sock),
                clock_offset=clock_offset(theirs.clock, self._trust.clock().timestamp()),
            )
            await self._replace(link)
            await self._check(link)
            if dialer is None:
                # Only now, as the dialling side has a link from our hello on. What does not go out
                # at once goes before all else.
                conversation.send_now(ours)
            await self._run_link(link, dialer)
        finally:
            conversation.close()

    def _hello(self, dialer: Dialer | None) -> Hello:
        return make_hello(
            self._trust.site,
            incarnation=self._site.incarnation,
            cost=dialer.config.cost if dialer else 1,
            hold_time=dialer.config.hold if dialer else DEFAULT_HOLD,
            clock=self._trust.clock().timestamp(),
            run=self._site.run,
        )

    async def _identify(self, tls: TlsConnection, conversation: MessageStream) -> SiteIdentity:
        """Return the site at the other end; raise `CertificateError`, of which it is told too."""
        try:
            return self._trust.peer_site(tls)
        except CertificateError as exc:
            await decline(conversation, str(exc))
            raise

    async def _replace(self, link: Link) -> None:
        """Make way for a link by ending the one there is, or raise `LinkLost`.

        A connection dialled anew by the same side takes the place of an old one that is dead; if
        that is alive, there are two routers with the keys of one site. When both sides dial, the
        one dialled by the site whose name sorts first stays, which both agree on.
        """
        ours = self._trust.site
        dialled_by = ours if link.is_outgoing else link.neighbor
        # Several may wait for the same one to end: the first of them is then in the others' way.
        while (present := self.up.get(link.neighbor)) is not None:
            if outranks(present.origin, link.origin):
                reason = (
                    f"site name {link.neighbor!r} is taken by another site of this VAN: make this "
                    "one anew under another name, with 'van init'"
                )
                await decline(link.conversation, reason)
                error = LinkDeclined(
                    f"{link.remote} has the name of site {link.neighbor!r}, which has "
                    "a better claim to it: make that site anew under another name"
                )
                error.site = link.neighbor
                raise error
            is_crossing = (
                present.is_outgoing != link.is_outgoing and present.hello.run == link.hello.run
            )
            if is_crossing and dialled_by != min(ours, link.neighbor):
                reason = f"there is a link to site {ours!r} already"
                await decline(link.conversation, reason)
                raise LinkLost(f"there is a link to site {link.neighbor!r} already")
            if is_crossing or await has_ended(present, link):
                reason = "replaced by a newer connection"
            elif is_elder(link.hello, present.hello):
                self._tell_of_copy(link.neighbor, link.remote, present.remote.host, link)
                reason = describe_copy(link.neighbor, link.remote)
            else:
                await refuse_copy(present, link, self._event_log)
            if self.up.get(link.neighbor) is present:
                present.close(reason)
                await self.table.changed()

    async def _check(self, link: Link) -> None:
        """Raise `LinkDeclined` if routing takes no such link, of which the neighbour is told too.

        Nothing has come up then, so nothing goes down: or a site without a name, which dials on and
        on, would fill both ends' logs of events.
        """
        try:
            self._routes.check_link(link.neighbor, link.origin)
        except LocalError as exc:
            await decline(link.conversation, str(exc))
            error = LinkDeclined(f"site {link.neighbor!r} was told: {exc}")
            error.site = link.neighbor
            raise error from exc

    def _tell_of_copy(self, site: str, kept: object, refused: object, by: Link) -> None:
        tell_of_copy(self._event_log, site, kept, refused, by=by.neighbor)

    async def _run_link(self, link: Link, dialer: Dialer | None) -> None:
        self.table.put(link)
        way = "dialled at" if link.is_outgoing else "accepted from"
        self._event_log.record(
            EventKind.LINK_UP,
            link.neighbor,
            f"{way} {link.remote}, cost {describe_cost(link.cost)}",
        )
        if told := describe_offset(link.neighbor, link.clock_offset):
            self._event_log.record(EventKind.CLOCKS_DIFFER, link.neighbor, told)
        self.opening.tell(link)
        self._routes.link_opened(
            link.neighbor,
            cost=link.cost,
            hold_time=link.hold_time,
            heartbeat_interval=link.heartbeat_interval,
            origin=link.origin,
            incarnation=link.hello.incarnation,
        )
        self._trust.admitted(link.origin)
        if dialer is not None:
            dialer.detail, dialer.is_connecting, dialer.failure = "connecting", True, ""
        try:
            self.opened.tell(link)
            self.table.notify()
            await link.run(self._receive)
        finally:
            self._event_log.record(EventKind.LINK_DOWN, link.neighbor, link.close_reason)
            if dialer is not None:
                dialer.detail = link.close_reason
            self.table.remove(link)
            self._routes.link_closed(link.neighbor)
            self.closed.tell(link)
            self.table.notify()
            await link.say_goodbye()

    # -- messages ------------------------------------------------------------------------------

    def _receive(self, link: Link, message: Message, age: float) -> None:
        try:
            self._obey(link, message, age)
        except StorageError as exc:
            # It counts while this router runs; a full disk is no reason to lose the link as well.
            logger.warning("what %s changed is not kept: %s", link.neighbor, exc)

    def _obey(self, link: Link, message: Message, age: float) -> None:
        match message:
            case _ if isinstance(message, RoutingMessage):
                self._routes.receive(link.neighbor, message, age=age)
                return
            case CostChange() | HoldChange():
                self.terms.receive(link, message)
            case Ping():
                link.send(Pong())
            case Pong():
                link.answered()
            case CopyFound(where):
                self._tell_of_copy(self._trust.site, "this machine", where, link)
            case Goodbye():
                link.has_left = True
                link.close(f"the neighbour closed it: {message.reason}")
                if message.is_final:
                    self._stop_dialer(link.neighbor)
                    self._settings.remove_link(link.neighbor)
            case _ if (handler := self._handlers.get(type(message))) is not None:
                handler(link, message)
            case _:
                pass  # of a kind that is for nobody here
        self._routes.heard(link.neighbor)
