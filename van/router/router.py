"""The router of one site: puts its planes together, and starts and stops them in order."""

import contextlib
import logging

import attrs
import trio

from van import __version__
from van.names import Endpoint
from van.router.control_plane import ControlPlane, open_control_plane
from van.router.data_plane import DataPlane, Reactor, open_data_plane
from van.router.links.invitations import Invitations
from van.router.links.join_proxy import JoinProxy
from van.router.links.port import Conversations, LinkPort
from van.router.links.refusals import Refusals
from van.router.links.renewal import Renewer
from van.router.links.trail_sharing import TrailSharing
from van.router.reactor.limits import DEFAULT_LIMITS, Limits
from van.router.reactor.loop import EventLoop
from van.router.reactor.splice import DirectionFactory, best_direction
from van.router.reactor.supervisor import Tasks
from van.router.reactor.workers import Workers, thread_count
from van.router.site.state import SiteState
from van.router.telemetry.events import EventKind

logger = logging.getLogger(__name__)


@attrs.frozen
class RouterOptions:
    """How a router is to be run; what a person may choose is in the site's settings."""

    limits: Limits = DEFAULT_LIMITS
    is_port_strict: bool = True
    """Whether it does not start where the link port can't be opened; or else it keeps trying."""
    make_direction: DirectionFactory = attrs.field(factory=best_direction)
    """Makes what moves the bytes of a relay."""


class Router:
    """One site's router, from `run_router`: its planes, and the order in which they end.

    All in trio's thread, but for the event loop's workers. Its tasks are in the nursery of
    `run_router`, which cancels them; a defect in one that belongs to a flow or a peer ends that
    alone, and one in routing, the event loop, or renewal ends the router.
    """

    def __init__(
        self,
        site: SiteState,
        control: ControlPlane,
        data: DataPlane,
        link_port: LinkPort,
        scope: trio.CancelScope,
        *,
        is_port_strict: bool,
    ) -> None:
        self.site = site
        self.trust = site.trust
        self.control = control
        self.routes = control.routes
        self.links = control.links
        self.data = data
        self.flows = data.flows
        self.link_port = link_port
        self.renewer = Renewer(site, control.routes, control.alarms, data.channels.asking.renew)
        self.trail_sharing = TrailSharing(
            site, control.routes, control.events, data.channels.asking.keep
        )
        self.defects = data.loop.defects
        self.invitations = Invitations(site.trust, site.ledger, site.settings, link_port)
        self._scope = scope
        self._is_port_strict = is_port_strict
        self._stop = trio.Event()
        self._leaves_for_good = False
        self._grace = data.loop.limits.stop_grace

    def __repr__(self) -> str:
        return f"<Router of {self.site.name!r} links={len(self.links.up)} flows={len(self.flows)}>"

    async def start(self, nursery: trio.Nursery) -> None:
        """Attach what is configured, open the link port, and dial; raise `PortInUse`.

        Every port is open when this returns.
        """
        self.control.events.record(EventKind.ROUTER_STARTED, self.site.name, f"van {__version__}")
        nursery.start_soon(self.data.loop.run)
        self.control.transit.announce()
        attachments = self.data.attachments
        attachments.connectors.attach_configured()
        attachments.listeners.bind_configured()
        attachments.advertising.advertise()
        nursery.start_soon(self.routes.run)
        listen = self.site.settings.config.listen
        if listen is not None:
            await self._open_link_port(listen, nursery)
        self.links.dial_configured()
        nursery.start_soon(self.renewer.run)
        nursery.start_soon(self.trail_sharing.run)
        nursery.start_soon(self.control.alarms.run)
        nursery.start_soon(self.control.expelling.run)
        nursery.start_soon(self.control.pinning.run)
        nursery.start_soon(self.control.governing.run)
        nursery.start_soon(self.control.rolling.run)
        logger.info("site %s is up in VAN %s", self.site.name, self.trust.van_id)

    async def _open_link_port(self, listen: Endpoint, nursery: trio.Nursery) -> None:
        if self._is_port_strict:
            await self.link_port.open(listen)
            return
        pause = self.data.loop.limits.reopen_interval
        await nursery.start(self.link_port.keep_opening, listen, pause)

    @property
    def is_stopping(self) -> bool:
        """Tell whether it was told to stop."""
        return self._stop.is_set()

    def stop(self, grace: float | None = None, *, is_for_good: bool = False) -> None:
        """Begin to stop; `run_router` returns when that is done. A second call cuts it short.

        If it is for good, or the site is ephemeral, the network is told that its name is free. Live
        flows, those in transit too, are given so many seconds to end.
        """
        if self._stop.is_set():
            self._scope.cancel()
        if grace is not None:
            self._grace = grace
        self._leaves_for_good = is_for_good or self.trust.identity.grants.is_ephemeral
        self._stop.set()

    async def leave_when_stopped(self) -> None:
        """Wait until told to stop; then take no new flows, let the live ones finish for a while,
        and say goodbye."""
        await self._stop.wait()
        logger.info("stopping")
        limits, table = self.data.loop.limits, self.control.table
        relays = self.data.forwarding.relays
        self.data.ingress.close()
        self.data.egress.is_stopping = True
        self.routes.withdraw()
        with trio.move_on_after(self._grace):
            await self.flows.ended()
            await self.data.channels.table.flushed()  # a flow has ended when its end is on its way
            await relays.ended()
        if self._leaves_for_good:
            self.routes.leave()
        await table.flush(limits.farewell)
        self.links.close_all("the router is stopping")
        await table.wait_all_closed(limits.farewell)


async def run_router(
    site: SiteState,
    options: RouterOptions | None = None,
    *,
    task_status: trio.TaskStatus[Router] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the router of a site until it is told to stop, and has taken an orderly leave.

    Started, with the router, means that every port is open. Raises `PortInUse` when the link port
    can't be. When it is cancelled, what lives is broken off. Nothing is left when it returns.
    """
    with contextlib.ExitStack() as closing:
        async with trio.open_nursery() as nursery:
            router = _open_router(site, options or RouterOptions(), nursery, closing)
            await router.start(nursery)
            task_status.started(router)
            await router.leave_when_stopped()
            nursery.cancel_scope.cancel()


def _open_router(
    site: SiteState, options: RouterOptions, nursery: trio.Nursery, closing: contextlib.ExitStack
) -> Router:
    loop = EventLoop(limits=options.limits)
    closing.callback(loop.close)
    closing.callback(Workers(loop, thread_count(loop)).close)
    tasks = Tasks(nursery, loop.defects)
    control = open_control_plane(site, tasks)
    reactor = Reactor(loop, tasks, options.make_direction)
    data = open_data_plane(site, reactor, control, closing)
    _follow_identity(site, control, data)
    asking = data.channels.asking
    control.join_server.proxy = JoinProxy(site.trust, control.routes, asking.readmit)
    servers = Conversations(
        join=control.join_server.serve,
        link=control.links.accept,
        channel=data.channels.acceptor.accept,
    )
    link_port = LinkPort(
        site.trust, servers, tasks, Refusals(control.events), event_log=control.events
    )
    return Router(
        site,
        control,
        data,
        link_port,
        nursery.cancel_scope,
        is_port_strict=options.is_port_strict,
    )


def _follow_identity(site: SiteState, control: ControlPlane, data: DataPlane) -> None:
    """Have a new certificate used everywhere; no flow is lost."""
    replaced, attachments = site.trust.replaced, data.attachments
    replaced.subscribe(attachments.connectors.identity_changed)
    replaced.subscribe(attachments.listeners.identity_changed)
    replaced.subscribe(control.governing.review)
    replaced.subscribe(data.channels.pools.renew)
    replaced.subscribe(data.channels.bundles.review)
    replaced.subscribe(control.routes.refresh_identity)
    replaced.subscribe(attachments.advertising.advertise)
    replaced.subscribe(data.ingress.routes_changed)
