"""The router of one site: puts its parts together, and starts and stops them in order."""

import logging
from datetime import timedelta

import trio

from van import __version__
from van.errors import LinkLost, LocalError, StorageError
from van.names import Endpoint
from van.paths import SitePaths
from van.router.channels.channel import Channel
from van.router.channels.channels import Channels
from van.router.channels.pools import NextHops
from van.router.egress.connectors import Connectors
from van.router.egress.egress import Egress
from van.router.egress.health import Health
from van.router.flow.table import Flows
from van.router.ingress.context import IngressContext
from van.router.ingress.ingress import Ingress
from van.router.ingress.listeners import Listeners
from van.router.links.invitations import Invitations
from van.router.links.join import JoinServer
from van.router.links.link import Link
from van.router.links.links import LinkEvents, Links
from van.router.links.membership import Membership
from van.router.links.port import Conversations, LinkPort
from van.router.links.renewal import Renewer
from van.router.links.routes import Routes, RoutesListener
from van.router.links.transit import Transit
from van.router.reactor.limits import DEFAULT_LIMITS, Limits
from van.router.reactor.loop import EventLoop
from van.router.reactor.splice import DirectionFactory, best_direction
from van.router.reactor.workers import Workers, thread_count
from van.router.site.exposures import Exposures
from van.router.site.incarnation import advance_incarnation, keep_incarnation
from van.router.site.settings import Settings
from van.router.site.trust import Member, Trust
from van.router.telemetry.events import EventKind, EventLog
from van.router.telemetry.route_events import RouteEvents
from van.router.telemetry.traceroute import Tracer
from van.routing.paths.fib import Fib
from van.tls.authority import SITE_LIFETIME
from van.tls.credentials import Credentials
from van.tls.identity import SiteIdentity
from van.tls.ledger import TokenLedger
from van.wire.channel import Open
from van.wire.framing import Message
from van.wire.link import ChannelRequest, Probe, ProbeReply, RenewReply, RenewRequest

logger = logging.getLogger(__name__)


class Router:
    """One site's router. Build it, then `run` it once."""

    def __init__(
        self,
        paths: SitePaths,
        credentials: Credentials,
        settings: Settings,
        *,
        make_direction: DirectionFactory | None = None,
        certificate_lifetime: timedelta = SITE_LIFETIME,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Read what the site left on disk; raises `StorageError`."""
        make_direction = make_direction or best_direction()
        incarnation = advance_incarnation(paths.incarnation_file)
        self.paths = paths
        self.settings = settings
        self.trust = Trust(credentials)
        self.ledger = TokenLedger(paths.tokens_dir)
        exposures = Exposures.load(paths.exposures_file)
        self.events = EventLog()
        self._route_events = RouteEvents(credentials.site, self.events)
        self.limits = limits
        self.loop = EventLoop(limits=limits)
        self._workers = Workers(self.loop, thread_count(self.loop))
        self.flows = Flows(incarnation)
        self.health = Health(self.events, self._targets_changed, limits)
        self.egress = Egress(self.loop, self.flows, self.health, self.events)
        self.routes = Routes(
            credentials.site,
            self.trust,
            RoutesListener(
                send=self._send,
                gather=self._gather,
                neighbor_silent=self._neighbor_silent,
                neighbor_contested=self._neighbor_contested,
                fib_changed=self._fib_changed,
                incarnation_advanced=self._incarnation_advanced,
                advertisement_dropped=self._route_events.advertisement_dropped,
                alternates_found=self._alternates_found,
                link_judged=self._route_events.link_judged,
            ),
            incarnation=incarnation,
        )
        self.channels = Channels(
            trust=self.trust,
            loop=self.loop,
            network=self,
            open_flow=self._open_flow,
            make_direction=make_direction,
            drops=self.flows.dropped_datagrams,
            receiver=self.egress.members,
        )
        self.ingress = Ingress(
            IngressContext(
                self.loop,
                self.flows,
                self.routes,
                self.channels.pools,
                self.egress,
                make_direction,
            ),
            self.channels.branch_context,
        )
        self.links = Links(
            trust=self.trust,
            routes=self.routes,
            settings=settings,
            events=LinkEvents(self._link_opened, self._link_closed, self._link_received),
            event_log=self.events,
            incarnation=incarnation,
        )
        self.renewer = Renewer(
            self.trust,
            self.links,
            self.install,
            self._identity_of,
            lifetime=certificate_lifetime,
        )
        self.tracer = Tracer(credentials.site, next_hop=self.next_hop, send=self._send)
        self._join_server = JoinServer(self.trust, self.ledger, self._holder_of)
        self.link_port = LinkPort(
            self.trust,
            Conversations(self._join_server.serve, self.links.accept, self.channels.accept),
        )
        self.connectors = Connectors(
            self.egress.targets,
            self.health,
            self.trust,
            settings,
            exposures,
            advertise=self.advertise,
        )
        self.listeners = Listeners(
            self.ingress,
            self.trust,
            settings,
            advertise=self.advertise,
            on_new=self.keep_channels_ready,
        )
        self.transit = Transit(settings, self.routes, self.events)
        self.invitations = Invitations(
            self.trust, self.ledger, settings, self.link_port, self.open_link_port
        )
        self.membership = Membership(self.trust, self.ledger, settings, self.links, self.install)
        self._nursery: trio.Nursery | None = None
        self._stop = trio.Event()
        self._is_running = False

    def __repr__(self) -> str:
        return f"<Router of {self.trust.site!r} links={len(self.links.up)} flows={len(self.flows)}>"

    # -- life ----------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until told to stop, then take an orderly leave.

        Started means that every port is open. Raises `PortInUse` when the link port can't be.
        """
        try:
            async with trio.open_nursery() as nursery:
                await self._start(nursery)
                task_status.started()
                await self._stop.wait()
                await self._take_leave()
                nursery.cancel_scope.cancel()
        finally:
            self._is_running = False
            self.flows.break_off()
            self.channels.table.close()
            self._workers.close()
            self.loop.close()

    async def _start(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.events.record(EventKind.ROUTER_STARTED, self.trust.site, f"van {__version__}")
        nursery.start_soon(self.loop.run)
        await nursery.start(self.channels.run)
        await nursery.start(self.health.tasks.run)
        await nursery.start(self.egress.tasks.run)
        await nursery.start(self.ingress.tasks.run)
        self._attach_configured()
        nursery.start_soon(self.routes.run)
        self._is_running = True
        if self.settings.config.listen is not None:
            await self.open_link_port(self.settings.config.listen)
        await nursery.start(self.links.run)
        nursery.start_soon(self.renewer.run)
        logger.info("site %s is up in VAN %s", self.trust.site, self.trust.van_id)

    def stop(self) -> None:
        """Begin to stop; `run` returns when that is done. A second call cuts it short."""
        if self._stop.is_set() and self._nursery is not None:
            self._nursery.cancel_scope.cancel()
        self._stop.set()

    async def _take_leave(self) -> None:
        """Take no new flows, let the live ones finish for a while, and say goodbye."""
        logger.info("stopping")
        self.ingress.close()
        self.egress.is_stopping = True
        self.routes.withdraw()
        with trio.move_on_after(self.limits.stop_grace):
            await self.flows.ended()
        await self.links.flush(self.limits.farewell)
        self.links.close_all("the router is stopping")
        await self.links.wait_all_closed(self.limits.farewell)

    async def open_link_port(self, endpoint: Endpoint) -> None:
        """Open the link port and serve it; raise `PortInUse`."""
        if self._nursery is None:
            raise RuntimeError("the router is not running")
        listening = await self.link_port.open(endpoint)
        self._nursery.start_soon(self.link_port.serve, listening)

    def _attach_configured(self) -> None:
        self.transit.announce()
        self.connectors.attach_configured()
        self.listeners.bind_configured()
        self.advertise()

    # -- identity ------------------------------------------------------------------------------

    def install(self, credentials: Credentials) -> None:
        """Make new credentials durable, then use them everywhere; no flow is lost."""
        credentials.save(self.paths.identity_file)
        self.trust.replace(credentials)
        self.connectors.identity_changed()
        self.listeners.identity_changed()
        self.channels.pools.renew()
        self.routes.refresh_identity()
        self.advertise()
        self.ingress.routes_changed()

    def _identity_of(self, site: str) -> SiteIdentity | None:
        origin = self.routes.engine.origin(site)
        return origin.identity if isinstance(origin, Member) else None

    def _holder_of(self, name: str) -> str | None:
        """Return the fingerprint of the key that holds a name in this VAN."""
        ours = self.trust.credentials.identity
        identity = ours if name == ours.site else self._identity_of(name)
        if identity is not None:
            return identity.public_key_fingerprint
        let_in = (each for record in self.ledger.records() for each in record.used_by)
        return next((key for site, key in let_in if site == name), None)

    # -- what routing decides --------------------------------------------------------------------

    def advertise(self) -> None:
        """Tell the network what this site serves and what can be reached from it."""
        self.routes.set_addresses(self.egress.targets.services(), self.ingress.bindings())

    def _targets_changed(self) -> None:
        try:
            self.advertise()
        except LocalError as exc:
            # It is one address too many, which was not told of while its target was away.
            logger.warning("what this site serves is not advertised: %s", exc)

    def _send(self, neighbor: str, message: Message) -> None:
        self.links.send(neighbor, message)

    def _gather(self) -> None:
        self.links.gather()

    def _neighbor_silent(self, neighbor: str, silence: float) -> None:
        self.links.break_off(neighbor, f"silent for {silence:.1f} s")
        self.channels.table.abort(neighbor, f"site {neighbor!r} is silent")

    def _neighbor_contested(self, neighbor: str) -> None:
        reason = f"site name {neighbor!r} belongs to another site, whose certificate is older"
        self.events.record(EventKind.NAME_CONTESTED, neighbor, "the link is given up: " + reason)
        self.links.break_off(neighbor, reason)
        self.channels.table.abort(neighbor, reason)

    def _incarnation_advanced(self, incarnation: int) -> None:
        self._route_events.incarnation_advanced(incarnation)
        try:
            keep_incarnation(self.paths.incarnation_file, incarnation)
        except StorageError as exc:
            # The next start then finds out the same way as this one: no reason to end this one.
            logger.warning("incarnation %d is not kept: %s", incarnation, exc)

    def _fib_changed(self, fib: Fib, previous: Fib) -> None:
        self._route_events.fib_changed(fib, previous)
        self.ingress.routes_changed()
        if not self._is_running:
            return
        self.keep_channels_ready()

    def _alternates_found(self) -> None:
        if self._is_running:
            self.keep_channels_ready()

    def keep_channels_ready(self) -> None:
        """Keep idle channels to neighbours, and to the sites that listeners here lead to, along
        the paths as they are now."""
        fib = self.routes.fib
        served = {
            site
            for listener in self.ingress.listeners
            for site in fib.services.get(listener.service, ())
            if site != fib.site
        }
        self.channels.pools.reroute(
            {
                site: NextHops(hop, self.second_hop(site) if site in served else None)
                for site in fib.routes
                if (hop := fib.next_hop(site)) is not None
            }
        )
        wanted = dict.fromkeys(served, self.limits.remote_spares)
        wanted |= {
            site: self.limits.neighbor_spares for site in self.links.up if site in fib.routes
        }
        self.channels.pools.want(wanted)

    # -- links -----------------------------------------------------------------------------------

    def _link_opened(self, link: Link) -> None:
        self.keep_channels_ready()

    def _link_closed(self, link: Link) -> None:
        self.channels.link_lost(link.neighbor)
        self.tracer.link_closed(link.neighbor)
        self.keep_channels_ready()
        if link.is_deleted:
            self.channels.table.abort(link.neighbor, "the link was deleted")

    def _link_received(self, link: Link, message: Message) -> None:
        match message:
            case ChannelRequest():
                self.channels.dial_for(link.neighbor, message.count)
            case RenewRequest():
                self.renewer.receive_request(link, message)
            case RenewReply():
                self.renewer.receive_reply(link, message)
            case Probe() | ProbeReply():
                self.tracer.receive(link.neighbor, message)

    # -- what channels ask -------------------------------------------------------------------------

    def next_hop(self, site: str) -> str | None:
        """Return the neighbour on the best path to a site."""
        return self.routes.fib.next_hop(site)

    def second_hop(self, site: str) -> str | None:
        """Return the neighbour on another path to a site, or None."""
        return self.routes.engine.second_hop(site)

    def relay_hop(self, site: str, choice: int) -> str | None:
        """Return the neighbour to which a relay is passed on."""
        return self.routes.fib.next_hop(site, choice)

    def has_link(self, site: str) -> bool:
        """Tell whether a link to a site is up."""
        return site in self.links.up

    def hop_limit(self, site: str) -> int:
        """Return how many sites may pass on what is sent to a site."""
        return self.routes.fib.hop_limit(site)

    def may_pass(self) -> bool:
        """Tell whether others may send through this site.

        A drained site that is asked still passes on: the news of that has not reached everybody.
        """
        return self.settings.config.transit

    def dial_endpoint(self, neighbor: str) -> Endpoint | None:
        """Return where a neighbour can be dialled, or None when it dials this site."""
        link = self.links.up.get(neighbor)
        return link.remote if link is not None and link.is_outgoing else None

    def ask_for_channels(self, neighbor: str, count: int) -> None:
        """Ask a neighbour to dial channels on which this site opens flows; raise `LinkLost`."""
        if neighbor not in self.links.up:
            raise LinkLost(f"no link to site {neighbor!r} is up")
        self.links.send(neighbor, ChannelRequest(count))

    def _open_flow(self, channel: Channel, request: Open) -> None:
        name = request.address.rpartition(":")[0]
        is_valid = channel.peer.not_after >= self.trust.clock()
        may_bind = is_valid and channel.peer.may_bind(name)
        self.egress.serve(channel, request, may_bind=may_bind)
