"""The requests that look at the network: its map, the path to a target, and what happens."""

from datetime import datetime
from typing import Final

from van.balancing.explanation import Explanation
from van.config import PROTOCOLS, check_protocol
from van.control.values.events import Event, Events
from van.control.values.network import Network
from van.control.values.paths import (
    CandidateExplanation,
    Explain,
    ExplainSpec,
    NotAllowedSite,
    Trace,
    TraceCandidate,
    TraceHop,
    TraceSpec,
)
from van.errors import LocalError, NotAllowed, NotFound, Unreachable
from van.names import Address, check_site_name
from van.router.ingress.ranking import Ranking
from van.router.links.routes import Routes
from van.router.telemetry import events
from van.router.telemetry.events import EventLog
from van.router.telemetry.topology import check_known, network_map
from van.router.telemetry.traceroute import MAX_HOPS, PROBE_TIMEOUT, Traced, Tracer
from van.routing.paths.fib import Fib, distribution_of
from van.routing.paths.service_index import ServiceKey
from van.wire.link import ProbeOutcome

EVENT_WAIT: Final = 20.0
"""Seconds that a request for events waits for one: less than clients wait for an answer."""


class Inspection:
    """Carries out the requests that change nothing."""

    def __init__(
        self, routes: Routes, ranking: Ranking, tracer: Tracer, event_log: EventLog
    ) -> None:
        self._routes = routes
        self._ranking = ranking
        self._tracer = tracer
        self._event_log = event_log

    # -- network -----------------------------------------------------------------------------------

    async def network(self) -> Network:
        """Return the map, with the paths from this site."""
        return await self.network_from(self._routes.fib.site)

    async def network_from(self, source: str) -> Network:
        """Return the map, with the paths from the site that is named."""
        return network_map(self._routes.fib, source)

    # -- trace -------------------------------------------------------------------------------------

    async def trace(self, spec: TraceSpec) -> Trace:
        """Find out the path to a site, or to the one where a flow to an address would go now."""
        candidates: tuple[TraceCandidate, ...] = ()
        protocol: str | None = None
        if ":" in spec.target:
            service = self._service(spec.protocol, Address.parse(spec.target))
            candidates, (protocol, _) = self._candidates(service), service
            site = candidates[0].site
        elif spec.protocol is not None:
            raise LocalError(f"a protocol is for addresses: {spec.target!r} is the name of a site")
        else:
            site = check_site_name(spec.target)
        traced = await self._trace(site)
        return Trace(
            target=spec.target,
            site=site,
            candidates=candidates,
            hops=tuple(
                TraceHop(site=hop.site, round_trip_ms=_ms(hop.round_trip)) for hop in traced.hops
            ),
            has_arrived=traced.outcome is ProbeOutcome.ARRIVED,
            detail=_explain(site, traced),
            protocol=protocol,
        )

    def _service(self, protocol: str | None, address: Address) -> ServiceKey:
        """Return what is asked about; without a protocol, what there is of that address."""
        asked = PROTOCOLS if protocol is None else (check_protocol(protocol),)
        served = [each for each in PROTOCOLS if self._ranking.candidates((each, str(address)))]
        found = [each for each in asked if each in served]
        if found:
            return found[0], str(address)
        if served:
            raise NotFound(
                f"{address} is served over {served[0]} only: ask without --protocol {protocol}"
            )
        what = f"{protocol} {address}" if protocol else str(address)
        for each in asked:
            if reason := self._ranking.reach.why_not((each, str(address))):
                raise NotAllowed(f"this site may not reach {what}: {reason}")
        raise NotFound(
            f"no site that can be reached serves {what}: run 'van expose {asked[0]} {address}' "
            "where its server runs, or see 'van status'"
        )

    def _candidates(self, service: ServiceKey) -> tuple[TraceCandidate, ...]:
        ranking, fib = self._ranking, self._routes.fib
        flows = ranking.balancer.outstanding(service)
        return tuple(
            TraceCandidate(site=site, cost=fib.routes[site].cost, flows=flows.get(site, 0))
            for site in ranking.sites(service)
        )

    async def explain(self, spec: ExplainSpec) -> Explain:
        """Say where a flow to an address would go now, and why the others would not get it."""
        service = self._service(spec.protocol, Address.parse(spec.address))
        fib, (protocol, address) = self._routes.fib, service
        return Explain(
            address=address,
            protocol=protocol,
            distribution=fib.distribution(service).name.lower(),
            dissenters=fib.dissenters(service),
            candidates=tuple(
                _candidate(fib, service, each) for each in self._ranking.explain(service)
            ),
            not_allowed=tuple(
                NotAllowedSite(site=site, reason=reason)
                for site, reason in self._ranking.reach.refusals(service).items()
            ),
        )

    async def _trace(self, site: str) -> Traced:
        fib = self._routes.fib
        if site == fib.site:
            return Traced((), ProbeOutcome.ARRIVED)
        check_known(fib, site)
        route = fib.routes.get(site)
        if route is None:
            raise Unreachable(f"no path leads to site {site!r}: 'van network' shows what is linked")
        return await self._tracer.trace(route.path)

    # -- events ------------------------------------------------------------------------------------

    async def events(self, after: int) -> Events:
        """Return the events after a number, as soon as there are any, or none after a while."""
        log = self._event_log
        await log.wait_after(after, EVENT_WAIT)
        return Events(
            router=log.start_id,
            lost=log.lost_after(after),
            events=tuple(map(_event, log.after(after))),
        )


def _candidate(fib: Fib, service: ServiceKey, found: Explanation) -> CandidateExplanation:
    route = fib.routes[found.site]
    sites, terms = fib.services[service], fib.terms[service]
    distribution = distribution_of(terms[sites.index(found.site)])
    return CandidateExplanation(
        site=found.site,
        path=route.path,
        cost=route.cost,
        round_trip_ms=found.round_trip * 1000,
        distribution=distribution.name.lower(),
        weight=found.weight,
        precedence=found.precedence,
        flows=found.outstanding,
        in_flight=found.in_flight,
        report_age=found.report_age,
        expected_delay_ms=found.expected_delay * 1000,
        own_delay_ms=_ms(found.own_delay),
        overdue=found.overdue,
        penalty_ms=found.penalty * 1000,
        ejected_for=found.ejected_for,
        score_ms=found.score * 1000,
        reason=found.reason,
    )


def _explain(site: str, traced: Traced) -> str:
    """Say why a trace has not arrived."""
    match traced.outcome:
        case ProbeOutcome.ARRIVED:
            return ""
        case ProbeOutcome.NO_PATH:
            return (
                f"site {traced.hops[-1].site!r} knows no path to site {site!r}: the network is "
                "changing, so trace once more"
            )
        case ProbeOutcome.EXPIRED if len(traced.hops) < MAX_HOPS:
            return f"site {site!r} is further away than it was: trace once more"
        case ProbeOutcome.EXPIRED:
            return f"site {site!r} is more than {MAX_HOPS} hops away, the most that are traced"
        case None:
            return f"site {site!r} does not answer within {PROBE_TIMEOUT:g} s"


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _event(event: events.Event) -> Event:
    return Event(
        number=event.number,
        at=_iso(event.at),
        kind=event.kind.value,
        subject=event.subject,
        text=event.text,
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
