"""Values of the control API: HTTP with JSON over the site's unix socket.

Every structure here is part of version 1 of the API: fields may be added, never renamed or
removed. `docs/control-api.md` lists the requests. Durations are seconds; round trips are
milliseconds, as a person reads them.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

SCHEMA: Final = 1
"""Version of the structures below, sent in every `Status`."""
MAX_REQUEST: Final = 256 * 1024
"""Largest request body in bytes."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every structure of the API: immutable, built by keyword."""


Cost = Annotated[int, Meta(ge=1, le=65535)] | Literal["auto"]
"""Cost of a link; `auto` follows its round trip."""


class ErrorReply(Value, frozen=True):
    """Body of every reply that is not 2xx."""

    code: str
    message: str


class TokenCreate(Value, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/tokens`."""

    expires_in: Annotated[float, Meta(ge=1, le=366 * 86400)] = 900.0
    uses: Annotated[int, Meta(ge=1, le=100_000)] = 1
    cost: Cost = 1
    can_invite: bool = False
    allow_expose: tuple[str, ...] = ("*",)
    allow_bind: tuple[str, ...] = ("*",)


class TokenCreated(Value, frozen=True):
    """The minted token, as the text of its file; `is_local_only`: its only address is loopback."""

    id: str
    token: str
    addresses: tuple[str, ...]
    is_local_only: bool


class TokenInfo(Value, frozen=True):
    """A token that this site minted. State is `valid`, `used up`, `expired`, or `revoked`."""

    id: str
    state: str
    expires_in: float
    uses: int
    used_by: tuple[str, ...]
    can_invite: bool
    allow_expose: tuple[str, ...]
    allow_bind: tuple[str, ...]


class LinkAccept(Value, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/links`: accept a token, given as the text of its file."""

    token: str
    cost: Cost | None = None
    hold: Annotated[float, Meta(ge=0.1, le=60.0)] | None = None


class LinkAccepted(Value, frozen=True):
    """What came of accepting a token; `is_up`: the link came up within a few seconds."""

    van: str
    neighbor: str
    joined: bool
    is_up: bool
    detail: str


class LinkCost(Value, frozen=True, forbid_unknown_fields=True):
    """`PUT /v1/links/NEIGHBOR/cost`."""

    cost: Cost


class LinkHold(Value, frozen=True, forbid_unknown_fields=True):
    """`PUT /v1/links/NEIGHBOR/hold`: seconds of silence after which the link counts as lost."""

    hold: Annotated[float, Meta(ge=0.1, le=60.0)]


class ConnectorSpec(Value, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/connectors`; also `DELETE`, where a target of None means every target."""

    address: str
    protocol: str = "tcp"
    target: str | None = None
    """`HOST:PORT`, or `unix:/PATH`."""
    distribution: str = "balanced"
    """`balanced`, `closest`, or `multicast`. This and what follows counts for nothing in
    `DELETE`."""
    weight: Annotated[int, Meta(ge=1, le=1000)] = 1
    precedence: Annotated[int, Meta(ge=0, le=255)] = 100
    check: str | None = None
    """`tcp` or `http:/PATH`."""


class ListenerSpec(Value, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/listeners`; also `DELETE`, where `listen` of None means every listener."""

    address: str
    protocol: str = "tcp"
    listen: str | None = None
    idle: Annotated[float, Meta(ge=0.1, le=86400)] = 60.0
    """Seconds after which a UDP session without traffic ends."""
    first_reply: bool = False
    """Whether a client of TCP multicast hears the first that answers."""


class Created(Value, frozen=True):
    """What was made or removed, and how it stands now."""

    state: str
    detail: str


class RouterStatus(Value, frozen=True):
    """This site and its router. `certificate_expires_in` is in seconds."""

    site: str
    van: str
    version: str
    pid: int
    uptime: float
    identity: str
    """The SPIFFE id of the site."""
    can_invite: bool
    allow_expose: tuple[str, ...]
    allow_bind: tuple[str, ...]
    certificate_expires_in: float
    transit: str
    """Whether others may send through this site: `yes`, `drained`, or `declined` for good."""
    listen: str | None
    """Where the link port is open, or None."""
    advertise: tuple[str, ...]


class LinkStatus(Value, frozen=True):
    """A link. Direction is `outgoing` (dialled here) or `incoming`; state `up`, `damped` (up, but
    not used, because it comes and goes), `connecting`, or `down`."""

    neighbor: str
    direction: str
    state: str
    cost: int
    """At present; 0 while a link that is down will have its cost from its round trip."""
    is_auto_cost: bool
    """Whether the cost follows the round trip."""
    hold_time: float | None
    """Seconds of silence that are allowed at present."""
    round_trip_ms: float | None
    proof_age: float | None
    """Seconds since the neighbour was last heard."""
    up_for: float | None
    remote: str
    """The address dialled, or the peer's."""
    channels: int
    """Idle channels to the neighbour that are ready."""
    detail: str


class SiteStatus(Value, frozen=True):
    """A site of the network. `next_hop` is empty for this site, None when there is no path."""

    site: str
    next_hop: str | None
    cost: int | None
    hops: int | None
    links: tuple[str, ...]
    services: int
    is_transit: bool
    """Whether others may send through it."""


class AddressStatus(Value, frozen=True):
    """A VAN address: the sites that serve it, and those with a listener for it."""

    address: str
    protocol: str
    served_at: tuple[str, ...]
    """Sites that serve it and can be reached now."""
    bound_at: tuple[str, ...]
    distribution: str
    dissenters: tuple[str, ...]
    """Sites that serve it and say that it is distributed otherwise."""
    flows: int
    """Under way from here."""
    in_flight: float | None
    """Work at all sites, as far as it was reported here; None where nothing was."""
    expected_delay_ms: float | None
    """Until the first of an answer, at the site where a flow would go now; None if unknown."""


class ConnectorStatus(Value, frozen=True):
    """State is `ready`, `failing` (the target refuses), `draining`, or `not allowed`."""

    address: str
    protocol: str
    target: str
    state: str
    detail: str
    flows: int
    distribution: str
    weight: int
    precedence: int
    instances: int
    """Places behind the target that take flows: several addresses of a host name, or one."""
    in_flight: float
    """Flows that do something; one that is quiet counts for a tenth."""
    expected_delay_ms: float | None
    """Of the next request, as learned from those before; None when none is ready."""


class ListenerStatus(Value, frozen=True):
    """State is `open`, `waiting` (nothing serves the address), `failed`, or `not allowed`."""

    address: str
    protocol: str
    listen: str
    state: str
    detail: str
    flows: int


class FlowStatus(Value, frozen=True):
    """A live flow at its ingress or egress. `bytes_in` flows toward the target."""

    id: str
    role: str
    """`ingress`, `egress`, or `local` when both are this site."""
    protocol: str
    address: str
    peer_site: str
    local: str
    """The client's endpoint at the ingress, the target at the egress."""
    age: float
    bytes_in: int
    bytes_out: int


class Counters(Value, frozen=True):
    """Totals since the router started."""

    flows_opened: int
    flows_refused: int
    flows_reset: int
    relays: int
    """Relays that pass through here now."""
    relayed_bytes: int
    refused_connections: dict[str, int]
    """Connections to the link port that were refused, by cause."""
    dropped_advertisements: dict[str, int]
    dropped_probes: dict[str, int]
    dropped_datagrams: dict[str, int]
    """Datagrams of UDP that were dropped, by cause."""
    multicast_bytes: dict[str, int]
    """What was sent to each neighbour of multicast over UDP: sealed datagrams with their headers,
    without those of TLS."""


class NetworkSite(Value, frozen=True):
    """A site, and the way to it from the map's source; without one, all but the name is None."""

    site: str
    cost: int | None
    hops: int | None
    path: tuple[str, ...] | None
    """Every site on the way, the source first."""
    is_transit: bool
    """Whether paths may lead through it to others."""


class NetworkLink(Value, frozen=True):
    """A pair of neighbours, each pair once; `is_two_way`: both ends advertise it, so it is used."""

    site: str
    neighbor: str
    cost: int | None
    """Cost from the site to the neighbour; None when the site does not advertise the link."""
    cost_back: int | None
    """Cost from the neighbour to the site."""
    round_trip_ms: float | None
    """As the ends last advertised it."""
    is_two_way: bool


class Network(Value, frozen=True):
    """`GET /v1/network` and `GET /v1/network/SOURCE`: the network as it looks from the source."""

    source: str
    sites: tuple[NetworkSite, ...]
    links: tuple[NetworkLink, ...]


class TraceSpec(Value, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/trace`: a site's name, or an address."""

    target: str
    protocol: str = "tcp"


class TraceCandidate(Value, frozen=True):
    """A site that serves the address; `flows` are those under way from here."""

    site: str
    cost: int
    flows: int


class TraceHop(Value, frozen=True):
    """A site on the path; without an answer within a second its round trip is None."""

    site: str
    round_trip_ms: float | None


class Trace(Value, frozen=True):
    """The path that a flow to the target takes now, this site not counted."""

    target: str
    site: str
    """Where the path leads."""
    candidates: tuple[TraceCandidate, ...]
    """Sites that serve the address, in the order in which a flow is offered; none for a site."""
    hops: tuple[TraceHop, ...]
    has_arrived: bool
    detail: str
    """Why the path does not lead there."""


class ExplainSpec(Value, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/explain`."""

    address: str
    protocol: str = "tcp"


class CandidateExplanation(Value, frozen=True):
    """A site that serves the address, and what its score is made of; the least score is best."""

    site: str
    path: tuple[str, ...]
    """Every site on the way, this one first."""
    cost: int
    round_trip_ms: float
    """About how long the way there and back takes."""
    distribution: str
    weight: int
    precedence: int
    flows: int
    """Under way from here."""
    in_flight: float | None
    """Pieces of work that are there, as last reported, corrected by what was done from here since;
    None where nothing was reported yet."""
    report_age: float | None
    expected_delay_ms: float
    own_delay_ms: float | None
    """Mean of the answers that came here of late."""
    overdue: float
    """Seconds that the oldest request from here has waited, if that is far too long; or 0."""
    penalty_ms: float
    """For failures of late."""
    ejected_for: float
    score_ms: float
    reason: str
    """Why it has its place."""


class Explain(Value, frozen=True):
    """Where a flow to the address would go now, and why; the first candidate gets it."""

    address: str
    protocol: str
    distribution: str
    """As the site says that has served it longest."""
    dissenters: tuple[str, ...]
    """Sites that say otherwise."""
    candidates: tuple[CandidateExplanation, ...]


class Event(Value, frozen=True):
    """What happened to a link or a route; `docs/control-api.md` lists the kinds."""

    number: int
    """Counts from 1 since the router started."""
    at: str
    """When, in UTC: `2026-03-01T12:00:00.000Z`."""
    kind: str
    subject: str
    """The site or address that it happened to; empty when it is several."""
    text: str


class Events(Value, frozen=True):
    """`GET /v1/events/AFTER`: the events above that number, the oldest first."""

    router: str
    """Tells one start of the router from another: with a new one, numbers begin anew."""
    lost: int
    """How many of them are kept no more."""
    events: tuple[Event, ...]


class Status(Value, frozen=True):
    """`GET /v1/status`."""

    schema: int
    router: RouterStatus
    links: tuple[LinkStatus, ...]
    sites: tuple[SiteStatus, ...]
    addresses: tuple[AddressStatus, ...]
    connectors: tuple[ConnectorStatus, ...]
    listeners: tuple[ListenerStatus, ...]
    flows: tuple[FlowStatus, ...]
    """At most `MAX_FLOWS_SHOWN`, the oldest first; `flows_total` counts all."""
    flows_total: int
    counters: Counters


MAX_FLOWS_SHOWN: Final = 200
