"""The data plane of a router: channels to other sites, and the flows that enter, leave, and pass.

It is built on the control plane, which it asks for paths and links, and whose changes it hears of.
"""

import contextlib
from collections.abc import Callable

import attrs

from van.router.bundles.pools import BundleAcceptor, BundlePools
from van.router.channels.acceptor import Acceptor, Handlers
from van.router.channels.asking import AnsweringServer, AskingClient
from van.router.channels.channel import Channel
from van.router.channels.dialer import ChannelDialer
from van.router.channels.greeting import Greeter
from van.router.channels.pools import Pools
from van.router.channels.reverse import ReverseDialer
from van.router.channels.table import ChannelTable
from van.router.control_plane import ControlPlane
from van.router.egress.connectors import Connectors
from van.router.egress.egress import Egress
from van.router.egress.health import Health
from van.router.flow.table import Flows
from van.router.forwarding.branches import Branches
from van.router.forwarding.relay import Relays
from van.router.forwarding.replicator import BranchContext
from van.router.ingress.advertising import Advertising
from van.router.ingress.context import IngressContext
from van.router.ingress.demand import ChannelDemand
from van.router.ingress.ingress import Ingress
from van.router.ingress.listeners import Listeners
from van.router.ingress.reach import Reach
from van.router.ingress.silences import Silences
from van.router.links.routes import Routes
from van.router.reactor.loop import EventLoop
from van.router.reactor.splice import DirectionFactory
from van.router.reactor.supervisor import Tasks
from van.router.site.access import Access
from van.router.site.state import SiteState
from van.wire.channel import (
    MAX_CONTROL_PAYLOAD,
    MAX_READMIT_PAYLOAD,
    MAX_TRAIL_PAYLOAD,
    Branch,
    Bundle,
    Carry,
    Readmit,
    Relay,
    Renew,
    Trail,
)
from van.wire.link import ChannelRequest


@attrs.frozen
class Reactor:
    """What moves bytes and runs tasks; every part of the data plane works with it."""

    loop: EventLoop
    tasks: Tasks
    make_direction: DirectionFactory
    """Makes what moves the bytes of a relay."""


@attrs.frozen
class Channels:
    """How channels come to be, and those that there are."""

    table: ChannelTable
    pools: Pools
    bundles: BundlePools
    """Those that carry many flows at a time, and that this site opens flows on."""
    served: BundleAcceptor
    """Those that others do."""
    dialer: ChannelDialer
    acceptor: Acceptor
    asking: AskingClient
    """Asks other sites for what is no flow."""


@attrs.frozen
class Forwarding:
    """What passes through."""

    relays: Relays
    branches: Branches
    context: BranchContext


@attrs.frozen
class Attachments:
    """What programs of this site are attached by."""

    advertising: Advertising
    connectors: Connectors
    listeners: Listeners


@attrs.frozen
class DataPlane:
    """Its parts, each built on those before it."""

    loop: EventLoop
    flows: Flows
    health: Health
    egress: Egress
    forwarding: Forwarding
    channels: Channels
    ingress: Ingress
    attachments: Attachments


def open_data_plane(
    site: SiteState, reactor: Reactor, control: ControlPlane, closing: contextlib.ExitStack
) -> DataPlane:
    """Build the data plane on a control plane; what is left when its tasks have ended is broken
    off by `closing`."""
    loop, tasks = reactor.loop, reactor.tasks
    flows = Flows(site.incarnation, reactor.loop.clock)
    health = Health(control.events, loop.limits, tasks)
    access = Access(site.trust)
    egress = Egress(loop, flows, health, site.trust, access, event_log=control.events, tasks=tasks)
    closing.callback(egress.idle_targets.close)
    greeter = Greeter(site.trust, loop)
    closing.callback(greeter.table.close)
    closing.callback(flows.break_off)
    dialer = ChannelDialer(greeter, control.routes, control.table, tasks, event_log=control.events)
    forwarding = _open_forwarding(site, reactor, control, dialer, flows=flows, egress=egress)
    bundles = BundleAcceptor(loop, egress.serve, egress.follow)
    handlers: Handlers = {
        Relay: forwarding.relays.serve,
        Branch: forwarding.branches.serve,
        Bundle: bundles.serve,
        Carry: bundles.carry,
        Renew: AnsweringServer(
            dialer, loop, tasks, answer=control.reissue.answer, max_payload=MAX_CONTROL_PAYLOAD
        ).serve,
        Readmit: AnsweringServer(
            dialer,
            loop,
            tasks,
            answer=control.join_server.readmission.answer,
            max_payload=MAX_READMIT_PAYLOAD,
        ).serve,
        Trail: AnsweringServer(
            dialer, loop, tasks, answer=control.trail_keeper.answer, max_payload=MAX_TRAIL_PAYLOAD
        ).serve,
    }
    channels = _open_channels(reactor, control, greeter, dialer, handlers, served=bundles)
    context = IngressContext(
        loop,
        flows,
        control.routes,
        Reach(control.routes, access),
        dialer.pools,
        channels.bundles,
        egress,
        reactor.make_direction,
        tasks,
        silences=Silences(control.events, loop.clock),
    )
    ingress = Ingress(context, forwarding.context)
    closing.callback(ingress.sessions.close)
    control.routes.fib_changed.subscribe(lambda *_: ingress.routes_changed())
    demand = ChannelDemand(context, control.table, ingress)
    _follow(site, control, demand, channels)
    site.trust.certified.subscribe(egress.certify)
    control.links.closed.subscribe(forwarding.context.link_closed)
    for look_again in (access.changed, egress.enforce, ingress.routes_changed, demand.refresh):
        control.governing.changed.subscribe(look_again)
    attachments = _open_attachments(site, control, health, egress, ingress, on_new=demand.refresh)
    return DataPlane(loop, flows, health, egress, forwarding, channels, ingress, attachments)


def _open_forwarding(
    site: SiteState,
    reactor: Reactor,
    control: ControlPlane,
    dialer: ChannelDialer,
    *,
    flows: Flows,
    egress: Egress,
) -> Forwarding:
    loop, tasks = reactor.loop, reactor.tasks
    relays = Relays(
        dialer,
        control.routes,
        site.settings,
        loop,
        tasks,
        make_direction=reactor.make_direction,
    )
    context = BranchContext(loop, dialer.pools, flows.dropped_datagrams, control.table, tasks)
    branches = Branches(context, site.name, site.settings, egress.members)
    return Forwarding(relays, branches, context)


def _open_channels(
    reactor: Reactor,
    control: ControlPlane,
    greeter: Greeter,
    dialer: ChannelDialer,
    handlers: Handlers,
    *,
    served: BundleAcceptor,
) -> Channels:
    tasks = reactor.tasks
    acceptor = Acceptor(greeter, dialer, tasks, handlers)
    reverse = ReverseDialer(dialer, acceptor, reactor.loop.limits, tasks)
    control.links.handle(ChannelRequest, reverse.receive)
    tasks.start(dialer.pools.keep_trimmed)
    bundles = BundlePools(reactor.loop, dialer.pools)
    tasks.start(bundles.keep_trimmed)
    return Channels(
        greeter.table, dialer.pools, bundles, served, dialer, acceptor, AskingClient(dialer)
    )


def _follow(
    site: SiteState, control: ControlPlane, demand: ChannelDemand, channels: Channels
) -> None:
    """Have channels follow members, links, and paths: first those that are gone, then what is
    wanted."""
    routes, links, trust = control.routes, control.links, site.trust
    table, lapses = channels.table, control.lapses
    control.expelling.enforced.subscribe(
        lambda: table.break_off_peers(trust.is_expelled, "the site was expelled")
    )
    table.added.subscribe(lambda channel: lapses.watch(channel.peer))
    table.added.subscribe(lambda channel: _certify(channel, routes))
    trust.certified.subscribe(table.certify)
    lapses.lapsed.subscribe(
        lambda key: table.break_off_peers(
            lambda peer: peer.public_key_fingerprint == key, "the certificate of the site expired"
        )
    )
    routes.neighbor_silent.subscribe(channels.table.abort)
    routes.neighbor_contested.subscribe(channels.table.abort)
    routes.fib_changed.subscribe(lambda fib, _: channels.dialer.doubts.rerouted(fib.routes))
    routes.fib_changed.subscribe(demand.refresh)
    routes.fib_changed.subscribe(lambda *_: channels.bundles.review())
    routes.alternates_found.subscribe(demand.refresh)
    links.opened.subscribe(demand.refresh)
    links.closed.subscribe(channels.dialer.link_closed)
    links.closed.subscribe(demand.refresh)


def _certify(channel: Channel, routes: Routes) -> None:
    """Judge what comes on a channel by the newest certificate that its peer is known by, though it
    has shown an older one there."""
    newest = routes.identity_of(channel.site)
    if newest is not None and channel.peer.is_succeeded_by(newest):
        channel.peer = newest


def _open_attachments(
    site: SiteState,
    control: ControlPlane,
    health: Health,
    egress: Egress,
    ingress: Ingress,
    *,
    on_new: Callable[[], None],
) -> Attachments:
    advertising = Advertising(control.routes, egress.targets, ingress, site.settings)
    control.transit.serving_changed.subscribe(advertising.targets_changed)
    health.changed.subscribe(advertising.targets_changed)
    connectors = Connectors(
        egress.targets,
        health,
        site.trust,
        site.settings,
        site.exposures,
        advertise=advertising.advertise,
        enforce=egress.enforce,
    )
    listeners = Listeners(
        ingress, site.trust, site.settings, advertise=advertising.advertise, on_new=on_new
    )
    return Attachments(advertising, connectors, listeners)
