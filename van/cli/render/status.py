"""The state of a router as sections of tables."""

from collections.abc import Sequence
from typing import Final

from van.cli.render.bundles import bundles_section, describe_congestion
from van.cli.render.counters import counters_section, is_interesting
from van.cli.render.grants import describe_patterns
from van.cli.render.humanize import (
    format_bytes,
    format_count,
    format_duration,
    format_round_trip,
)
from van.cli.render.tables import BAD, GOOD, MUTED, PLAIN, WARN, Cell, Section, numeric
from van.cli.render.trouble import expires_soon, find_troubles, summary_section, trouble_section
from van.control.values.attachments import ConnectorStatus, ListenerStatus
from van.control.values.links import LinkStatus
from van.control.values.status import (
    AddressStatus,
    FlowStatus,
    RouterStatus,
    SiteStatus,
    Status,
)
from van.control.values.tokens import TokenInfo

SHOWN_FLOWS: Final = 20
"""Flows in a table for people; JSON has more."""

_TONES: Final = {
    "up": GOOD,
    "ready": GOOD,
    "open": GOOD,
    "valid": GOOD,
    "connecting": WARN,
    "damped": WARN,
    "waiting": WARN,
    "slow": WARN,
    "unknown": WARN,
    "draining": WARN,
    "used up": MUTED,
    "expired": MUTED,
    "revoked": MUTED,
}


EXPIRED: Final = "expired: accept a new token of a site that may invite"
_TRANSIT: Final = {
    "yes": "yes: others may send through this site",
    "drained": "no: drained, until 'van site undrain'",
    "declined": "no: nothing is ever sent through this site",
}
_TRANSIT_TONES: Final = {"drained": WARN}


def status_sections(status: Status) -> list[Section]:
    """Return all that `van status` shows, trouble first; what says nothing is left out."""
    troubles = find_troubles(status)
    sections = [summary_section(status, troubles)]
    if troubles:
        sections.append(trouble_section(troubles))
    sections += [
        links_section(status),
        sites_section(status.sites),
        addresses_section(status.addresses),
        connectors_section(status.connectors),
        listeners_section(status.listeners),
    ]
    if status.bundles:
        sections.append(bundles_section(status.bundles))
    if status.flows_total:
        sections.append(flows_section(status.flows, status.flows_total))
    if is_interesting(status.counters):
        sections.append(counters_section(status.counters))
    return [*sections, site_section(status.router)]


def site_section(router: RouterStatus) -> Section:
    """Return who this site is."""
    left = router.certificate_expires_in
    certificate = f"valid for {format_duration(left)}" if left > 0 else EXPIRED
    rows = [
        ("VAN", router.van, PLAIN),
        ("router", f"up {format_duration(router.uptime)}, pid {router.pid}", PLAIN),
        ("version", router.version, PLAIN),
        ("identity", router.identity, PLAIN),
        ("certificate", certificate, BAD if left <= 0 else WARN if expires_soon(router) else PLAIN),
        ("link port", router.listen or "closed: this site dials, others can't dial it", PLAIN),
        (
            "transit",
            _TRANSIT.get(router.transit, router.transit),
            _TRANSIT_TONES.get(router.transit, PLAIN),
        ),
    ]
    if router.congestion:
        tone = WARN if router.congestion_failure else PLAIN
        rows.append(("congestion", describe_congestion(router), tone))
    if router.serving != "yes":
        rows.append(("serving", "no: left to others, until 'van site undrain'", WARN))
    if router.advertise:
        rows.append(("advertised", ", ".join(router.advertise), PLAIN))
    rows.append(("may expose", describe_patterns(router.allow_expose), PLAIN))
    rows.append(("may bind", describe_patterns(router.allow_bind), PLAIN))
    rows.append(("may invite", "yes" if router.can_invite else "no", PLAIN))
    return Section(
        f"Site {router.site}", (), [(Cell(name), Cell(text, tone)) for name, text, tone in rows]
    )


def router_line(router: RouterStatus) -> str:
    """Return in a few words how a router can be reached."""
    if router.listen is None:
        return f"pid {router.pid}, dials out only"
    return f"pid {router.pid}, link port {router.listen}"


def links_section(status: Status) -> Section:
    """Return the links of this site."""
    return Section(
        "Links",
        (
            *("SITE", "STATE", "DIR", "COST", "RTT", "HEARD", "UP FOR", "CHANNELS"),
            *("REMOTE", "DETAIL"),
        ),
        [_link_row(link) for link in status.links],
        "no links: 'van link create' on one site, 'van link accept' on the other",
        folds=("CHANNELS", "HEARD", "DIR", "REMOTE", "UP FOR", "COST", "RTT"),
    )


def _link_row(link: LinkStatus) -> tuple[Cell, ...]:
    return (
        Cell(link.neighbor),
        _state(link.state),
        Cell({"outgoing": "out", "incoming": "in"}.get(link.direction, link.direction)),
        numeric(_cost(link)),
        numeric("" if link.round_trip_ms is None else format_round_trip(link.round_trip_ms)),
        numeric("" if link.proof_age is None else format_duration(link.proof_age)),
        numeric("" if link.up_for is None else format_duration(link.up_for)),
        numeric(link.channels),
        Cell(link.remote),
        Cell(link.detail),
    )


def _cost(link: LinkStatus) -> str:
    if not link.is_auto_cost:
        return str(link.cost)
    return f"{link.cost} auto" if link.cost else "auto"


def sites_section(sites: Sequence[SiteStatus]) -> Section:
    """Return the sites of the network, and the way to each; and the version of van that each runs,
    where they differ."""
    do_differ = len({site.version for site in sites if site.version}) > 1
    return Section(
        "Sites",
        ("SITE", "NEXT HOP", "COST", "HOPS", "TRANSIT", "SERVICES", "VERSION", "LINKS"),
        [
            (
                Cell(site.site),
                _next_hop(site.next_hop),
                numeric(site.cost),
                numeric(site.hops),
                Cell("" if site.is_transit else "no", MUTED),
                numeric(site.services),
                Cell(site.version if do_differ else ""),
                Cell(", ".join(site.links)),
            )
            for site in sites
        ],
        "no sites are known yet",
        folds=("SERVICES", "HOPS", "LINKS", "TRANSIT", "VERSION", "COST"),
    )


def _next_hop(next_hop: str | None) -> Cell:
    if next_hop is None:
        return Cell("unreachable", BAD)
    return Cell(next_hop) if next_hop else Cell("(this site)", MUTED)


def addresses_section(addresses: Sequence[AddressStatus]) -> Section:
    """Return the addresses of the network."""
    return Section(
        "Addresses",
        ("ADDRESS", "PROTOCOL", "SERVED AT", "BOUND AT"),
        [
            (
                Cell(entry.address),
                Cell(entry.protocol),
                Cell(", ".join(entry.served_at)) if entry.served_at else Cell("nowhere", WARN),
                Cell(", ".join(entry.bound_at)),
            )
            for entry in addresses
        ],
        "no addresses: 'van expose tcp NAME:PORT' where a server runs",
        folds=("BOUND AT",),
    )


def connectors_section(connectors: Sequence[ConnectorStatus]) -> Section:
    """Return what this site exposes."""
    return Section(
        "Connectors",
        ("ADDRESS", "PROTOCOL", "TARGET", "STATE", "FLOWS", "DETAIL"),
        [
            (
                Cell(connector.address),
                Cell(connector.protocol),
                Cell(connector.target),
                _state(connector.state),
                numeric(connector.flows),
                Cell(_connector_detail(connector)),
            )
            for connector in connectors
        ],
        "nothing is exposed here: 'van expose tcp NAME:PORT' attaches a local server",
        folds=("FLOWS",),
    )


def _connector_detail(connector: ConnectorStatus) -> str:
    """Return what is to be said of a connector beside its state."""
    timeout = connector.connect_timeout
    limit = "" if timeout is None else f"connect timeout {timeout:g} s"
    header = "with a PROXY header" if connector.proxy_protocol else ""
    allowed = ", ".join(connector.allow_from)
    sources = f"for {allowed} only" if allowed else ""
    return "; ".join(each for each in (connector.detail, limit, header, sources) if each)


def listeners_section(listeners: Sequence[ListenerStatus]) -> Section:
    """Return what this site binds."""
    return Section(
        "Listeners",
        ("ADDRESS", "PROTOCOL", "LISTEN", "STATE", "FLOWS", "DETAIL"),
        [
            (
                Cell(listener.address),
                Cell(listener.protocol),
                Cell(listener.listen),
                _state(listener.state),
                numeric(listener.flows),
                Cell(listener.detail),
            )
            for listener in listeners
        ],
        "nothing is bound here: 'van bind tcp NAME:PORT' opens a local port to an address",
        folds=("FLOWS",),
    )


def flows_section(flows: Sequence[FlowStatus], total: int, *, most: int = SHOWN_FLOWS) -> Section:
    """Return the oldest live flows."""
    shown = flows[:most]
    more = total - len(shown)
    return Section(
        "Flows",
        ("ROLE", "ADDRESS", "PROTOCOL", "PEER SITE", "LOCAL", "AGE", "IN", "OUT", "CARRIER"),
        [
            (
                Cell(flow.role),
                Cell(flow.address),
                Cell(flow.protocol),
                Cell(flow.peer_site),
                Cell(flow.local),
                numeric(format_duration(flow.age)),
                numeric(format_bytes(flow.bytes_in)),
                numeric(format_bytes(flow.bytes_out)),
                Cell("channel" if flow.is_bulk else ""),
            )
            for flow in shown
        ],
        f"{format_count(total, 'flow')}",
        f"and {more} more" if more > 0 and shown else "",
        folds=("LOCAL", "AGE", "ROLE", "CARRIER", "IN", "OUT"),
    )


def tokens_section(tokens: Sequence[TokenInfo]) -> Section:
    """Return the tokens that this site minted."""
    return Section(
        "Tokens",
        (
            "ID",
            "STATE",
            "EXPIRES IN",
            "USES",
            "FOR",
            "USED BY",
            "TAGS",
            "MAY EXPOSE",
            "MAY BIND",
            "MAY INVITE",
        ),
        [
            (
                Cell(token.id),
                _state(token.state),
                numeric(format_duration(token.expires_in) if token.expires_in > 0 else ""),
                numeric(f"{len(token.used_by)}/{token.uses}"),
                Cell(describe_patterns(token.names, everything="anyone")),
                Cell(", ".join(token.used_by)),
                Cell(", ".join(token.tags)),
                Cell(describe_patterns(token.allow_expose)),
                Cell(describe_patterns(token.allow_bind)),
                Cell("yes" if token.can_invite else "no"),
            )
            for token in tokens
        ],
        "no tokens: 'van link create' mints one",
        folds=("MAY INVITE", "MAY BIND", "MAY EXPOSE", "TAGS", "FOR", "USES", "EXPIRES IN"),
    )


def _state(text: str) -> Cell:
    return Cell(text, _TONES.get(text, BAD))
