"""Gathers what `GET /v1/status` returns from the parts of a router; changes nothing."""

import os
import time

from van import __version__
from van.control.values.status import (
    MAX_FLOWS_SHOWN,
    SCHEMA,
    AddressStatus,
    Counters,
    RouterStatus,
    SiteStatus,
    Status,
)
from van.router.links.statuses import link_statuses
from van.router.management.bundles import bundle_statuses
from van.router.reactor.congestion import default_congestion, why_not_usable
from van.router.router import Router
from van.routing.paths.fib import Fib
from van.routing.paths.service_index import ServiceKey
from van.wire.lsa import Distribution


def router_status(router: Router, started_at: float) -> Status:
    """Return the state of a router and of the network as it sees it."""
    fib = router.routes.fib
    return Status(
        schema=SCHEMA,
        router=_own(router, started_at),
        links=link_statuses(router.links, router.routes, router.data.channels.pools.ready),
        sites=_sites(router, fib),
        addresses=_addresses(router, fib),
        connectors=router.data.attachments.connectors.statuses(),
        listeners=router.data.attachments.listeners.statuses(),
        flows=router.flows.statuses(MAX_FLOWS_SHOWN),
        flows_total=len(router.flows),
        counters=Counters(
            flows_opened=router.flows.opened,
            flows_refused=router.flows.refused,
            flows_reset=router.flows.reset,
            relays=router.data.forwarding.relays.count,
            relayed_bytes=router.data.loop.relayed_bytes,
            refused_connections=dict(router.link_port.refused),
            dropped_advertisements=router.routes.dropped_advertisements,
            dropped_probes=router.control.tracer.dropped,
            dropped_datagrams=dict(+router.flows.dropped_datagrams),
            multicast_bytes=dict(router.data.forwarding.context.sent),
        ),
        bundles=bundle_statuses(router.data.channels),
        both_out=_both_out(router, fib),
    )


def _own(router: Router, started_at: float) -> RouterStatus:
    identity = router.trust.identity
    port = router.link_port.endpoint
    chosen = router.data.loop.limits.congestion
    failure = why_not_usable(chosen) if chosen else ""
    return RouterStatus(
        site=identity.site,
        van=identity.van_id,
        version=__version__,
        pid=os.getpid(),
        uptime=time.monotonic() - started_at,
        identity=f"spiffe://{identity.van_id}/site/{identity.site}",
        can_invite=router.trust.can_invite,
        allow_expose=identity.grants.allow_expose,
        allow_bind=identity.grants.allow_bind,
        certificate_expires_in=(identity.not_after - router.trust.clock()).total_seconds(),
        transit=router.control.transit.status(),
        serving="yes" if router.control.transit.is_serving else "drained",
        listen=str(port) if port else None,
        advertise=tuple(map(str, router.site.settings.config.advertise)),
        certificate_life=(identity.not_after - identity.issued_at).total_seconds(),
        is_ephemeral=identity.grants.is_ephemeral,
        listen_failure=router.link_port.failure,
        excluded=router.trust.exclusion(),
        is_behind=router.trust.is_behind,
        is_stopping=router.is_stopping,
        congestion=default_congestion() if failure or not chosen else chosen,
        congestion_chosen=chosen,
        congestion_failure=failure,
    )


def _both_out(router: Router, fib: Fib) -> tuple[tuple[str, str], ...]:
    """Return who has expelled each other, but for those that were let in again with other keys."""
    return tuple(
        pair for pair in router.trust.expulsions.both_out() if fib.routes.keys().isdisjoint(pair)
    )


def _sites(router: Router, fib: Fib) -> tuple[SiteStatus, ...]:
    counts: dict[str, int] = {}
    said = router.routes.identities()
    for sites in fib.services.values():
        for site in sites:
            counts[site] = counts.get(site, 0) + 1
    return tuple(
        SiteStatus(
            site=site,
            next_hop=_next_hop(fib, site),
            cost=route.cost if (route := fib.routes.get(site)) else None,
            hops=route.hops if route else None,
            links=fib.sites.get(site, ()),
            services=counts.get(site, 0),
            is_transit=site not in fib.no_transit,
            version=said[site].software if site in said else "",
        )
        for site in sorted({*fib.sites, *fib.routes})
    )


def _next_hop(fib: Fib, site: str) -> str | None:
    return "" if site == fib.site else fib.next_hop(site)


def _addresses(router: Router, fib: Fib) -> tuple[AddressStatus, ...]:
    found = sorted({*fib.services, *fib.listeners})
    return tuple(_address(router, fib, service) for service in found)


def _address(router: Router, fib: Fib, service: ServiceKey) -> AddressStatus:
    protocol, address = service
    explained = router.data.ingress.ranking.explain(service) if service in fib.services else []
    in_flight = [each.in_flight for each in explained if each.in_flight is not None]
    best = explained[0] if explained else None
    flows = sum(each.outstanding for each in explained)
    if fib.distribution(service) is Distribution.MULTICAST:
        flows = router.data.attachments.listeners.flows(service)
    return AddressStatus(
        address=address,
        protocol=protocol,
        served_at=fib.services.get(service, ()),
        not_allowed_at=tuple(router.data.ingress.reach.refusals(service)),
        bound_at=fib.listeners.get(service, ()),
        distribution=fib.distribution(service).name.lower(),
        dissenters=fib.dissenters(service),
        flows=flows,
        in_flight=sum(in_flight) if in_flight else None,
        expected_delay_ms=None if best is None or best.in_flight is None else best.score * 1000,
    )
