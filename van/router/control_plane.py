"""The control plane of a router: links to neighbours, and what the network is known to be.

It knows nothing of flows. What carries them is built on it, asks it for paths and links, and
subscribes to their changes.
"""

import attrs

from van.router.links.departures import Departures
from van.router.links.expelling import Expelling
from van.router.links.governing import Governing
from van.router.links.granting import Granting
from van.router.links.join_server import JoinServer
from van.router.links.lapses import Lapses
from van.router.links.links import Links
from van.router.links.membership import Membership
from van.router.links.names import Names
from van.router.links.pinning import Pinning
from van.router.links.reissue import Reissue
from van.router.links.rolling import Rolling
from van.router.links.routes import Routes
from van.router.links.table import LinkTable
from van.router.links.trail_keeper import TrailKeeper
from van.router.links.transit import Transit
from van.router.reactor.supervisor import Tasks
from van.router.site.alarms import WallAlarms
from van.router.site.state import SiteState
from van.router.telemetry.events import EventLog
from van.router.telemetry.route_events import RouteEvents
from van.router.telemetry.traceroute import Tracer
from van.wire.expulsion import Expulsions, ExpulsionsHeld
from van.wire.link import AuthorityGrant, Probe, ProbeReply
from van.wire.policy import Policies


@attrs.frozen
class ControlPlane:
    """Its parts, each built on those before it."""

    events: EventLog
    table: LinkTable
    routes: Routes
    links: Links
    alarms: WallAlarms
    expelling: Expelling
    governing: Governing
    granting: Granting
    rolling: Rolling
    lapses: Lapses
    names: Names
    pinning: Pinning
    reissue: Reissue
    tracer: Tracer
    join_server: JoinServer
    trail_keeper: TrailKeeper
    transit: Transit
    membership: Membership


def open_control_plane(site: SiteState, tasks: Tasks) -> ControlPlane:
    """Build the control plane; nothing is dialled, and no timer runs, until the router starts."""
    events, table = EventLog(), LinkTable()
    routes = Routes(site.name, site.trust, table, incarnation=site.incarnation, run=site.run)
    _record_events(routes, RouteEvents(site.name, events))
    routes.incarnation_advanced.subscribe(site.keep_incarnation)
    expelling = Expelling(site, table, routes, events)
    names = Names(site, routes, expelling)
    join_server = JoinServer(site, names)
    links = Links(site, routes, table, events, tasks, join_server=join_server)
    routes.identity_shared.subscribe(links.identity_shared)
    links.opening.subscribe(expelling.link_opening)
    links.handle(ExpulsionsHeld, expelling.receive_held)
    links.handle(Expulsions, expelling.receive)
    pinning = Pinning(site, events)
    routes.fib_changed.subscribe(pinning.fib_changed)
    governing = Governing(site, table, events)
    links.opening.subscribe(governing.link_opening)
    links.handle(Policies, governing.receive)
    expelling.enforced.subscribe(governing.review)
    departures = Departures(site.trust, names, pinning, events)
    routes.site_left.subscribe(departures.site_left)
    alarms = WallAlarms(site.trust)
    lapses = Lapses(site.trust, table, routes, alarms)
    links.opening.subscribe(lambda link: lapses.watch(link.origin.identity))
    expelling.root_replaced.subscribe(lapses.judge_roots)
    granting = Granting(site, routes, table.send, events)
    links.handle(AuthorityGrant, granting.receive)
    tracer = Tracer(site.name, next_hop=routes.next_hop, send=table.send)
    links.handle(Probe, lambda link, probe: tracer.receive(link.neighbor, probe))
    links.handle(ProbeReply, lambda link, reply: tracer.receive(link.neighbor, reply))
    links.closed.subscribe(lambda link: tracer.link_closed(link.neighbor))
    return ControlPlane(
        events=events,
        table=table,
        routes=routes,
        links=links,
        alarms=alarms,
        expelling=expelling,
        governing=governing,
        granting=granting,
        rolling=Rolling(site, routes, granting, expelling, governing, event_log=events),
        lapses=lapses,
        names=names,
        pinning=pinning,
        reissue=Reissue(site.trust, routes),
        tracer=tracer,
        join_server=join_server,
        trail_keeper=TrailKeeper(site, events),
        transit=Transit(site.settings, routes, events),
        membership=Membership(site, links),
    )


def _record_events(routes: Routes, events: RouteEvents) -> None:
    routes.fib_changed.subscribe(events.fib_changed)
    routes.neighbor_contested.subscribe(events.neighbor_contested)
    routes.incarnation_advanced.subscribe(events.incarnation_advanced)
    routes.advertisement_dropped.subscribe(events.advertisement_dropped)
    routes.link_judged.subscribe(events.link_judged)
