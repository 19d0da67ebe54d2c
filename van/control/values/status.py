"""A router and the network as it sees it: `GET /v1/status`."""

from typing import Final

from van.control.values.attachments import ConnectorStatus, ListenerStatus
from van.control.values.base import Value
from van.control.values.bundles import BundlesStatus
from van.control.values.links import LinkStatus

SCHEMA: Final = 1
"""Version of the values of the API, sent in every `Status`."""
MAX_FLOWS_SHOWN: Final = 200
"""Flows in a `Status`."""


class RouterStatus(Value, frozen=True):
    """This site and its router."""

    site: str
    """Name of the site."""
    van: str
    """Id of the network."""
    version: str
    """Version of the router."""
    pid: int
    """Its process."""
    uptime: float
    """How long it has been running."""
    identity: str
    """SPIFFE id of the site."""
    can_invite: bool
    """Whether it may mint tokens."""
    allow_expose: tuple[str, ...]
    """Patterns of names that it may expose."""
    allow_bind: tuple[str, ...]
    """Patterns of names that it may bind."""
    certificate_expires_in: float
    """Seconds left; renewed well before, by an authority in reach."""
    transit: str
    """Whether others may send through this site: `yes`, `drained`, or `declined` for good."""
    serving: str
    """Whether new flows to what it exposes may come here: `yes`, or `drained`."""
    listen: str | None
    """Where the link port is open."""
    advertise: tuple[str, ...]
    """Where tokens tell others to dial."""
    certificate_life: float = 604800.0
    """Seconds for which it was issued."""
    is_ephemeral: bool = False
    """Whether it is not renewed."""
    listen_failure: str = ""
    """Why the link port is not open yet, though it is to be."""
    excluded: str = ""
    """Why this site is a member of the VAN no more, as far as it has been told; empty for one."""
    is_behind: bool = False
    """Whether its certificate rests on a root of the VAN that another one has succeeded: it is a
    member until the old one is put out."""
    is_stopping: bool = False
    """Whether it takes no new flows, and ends when those that are live have, or their grace has."""
    congestion: str = ""
    """The congestion control that new connections to other sites get, as the kernel tells; empty
    where it does not."""
    congestion_chosen: str = ""
    """The one that `config.toml` asks for; empty where that leaves it to the system."""
    congestion_failure: str = ""
    """Why new connections do not get the one that was chosen."""


class SiteStatus(Value, frozen=True):
    """A site of the network, and the way to it."""

    site: str
    """Name of the site."""
    next_hop: str | None
    """Neighbour that leads to it; empty for this site, null when nothing does."""
    cost: int | None
    """Cost of the path."""
    hops: int | None
    """Links on the path."""
    links: tuple[str, ...]
    """Sites that it has a link with."""
    services: int
    """Addresses that it serves."""
    is_transit: bool
    """Whether others may send through it."""
    version: str = ""
    """Version of its router, as it says; empty where that is not known."""


class AddressStatus(Value, frozen=True):
    """A VAN address: the sites that serve it, and those with a listener for it."""

    address: str
    """`name:port`."""
    protocol: str
    """`tcp`, `udp`, or `http`."""
    served_at: tuple[str, ...]
    """Sites that serve it and can be reached now."""
    bound_at: tuple[str, ...]
    """Sites that have a listener for it."""
    not_allowed_at: tuple[str, ...]
    """Those of the sites that serve it which do not let this one in."""
    distribution: str
    """`balanced`, `closest`, or `multicast`, as the site says that has served it longest."""
    dissenters: tuple[str, ...]
    """Sites that serve it and say otherwise."""
    flows: int
    """Flows under way from here."""
    in_flight: float | None
    """Work at all sites, as far as it was reported here; null where nothing was."""
    expected_delay_ms: float | None
    """Until the first of an answer, at the site where a flow would go now; null when unknown."""


class FlowStatus(Value, frozen=True):
    """A live flow that begins or ends here."""

    id: str
    """Tells flows apart while the router runs."""
    role: str
    """`ingress`, `egress`, or `local` when both are this site."""
    protocol: str
    """`tcp`, `udp`, or `http`."""
    address: str
    """`name:port`."""
    peer_site: str
    """The site at the other end."""
    local: str
    """The client's `host:port` at the ingress, the target's at the egress."""
    age: float
    """Seconds since it was opened."""
    bytes_in: int
    """Bytes toward the target."""
    bytes_out: int
    """Bytes from the target."""
    is_bulk: bool = False
    """Whether it has moved to a channel of its own, as it has much on its way."""


class Counters(Value, frozen=True):
    """Totals since the router started."""

    flows_opened: int
    """Flows that a target took."""
    flows_refused: int
    """Flows that no target took."""
    flows_reset: int
    """Flows that ended by a reset."""
    relays: int
    """Relays that pass through here now."""
    relayed_bytes: int
    """Bytes that relays passed on: ciphertext, and flows with both ends here."""
    refused_connections: dict[str, int]
    """Connections to the link port that were refused, by cause."""
    dropped_advertisements: dict[str, int]
    """Advertisements that were not believed, by cause."""
    dropped_probes: dict[str, int]
    """Probes of `van trace`, and replies, that were not taken: `implausible`, `too-long`,
    `too-many`, `unknown`."""
    dropped_datagrams: dict[str, int]
    """Datagrams of UDP that were dropped here: `path-blocked`, `not-placed` (more than are kept
    until an instance has taken the session), `no-instance`, `too-many-sessions`,
    `local-blocked`, `socket-full` (the kernel's room for a socket), `too-large`; of multicast
    `no-branch` (a part of the tree is being laid anew) and `not-genuine` (not sealed by its
    source, here already, or too late)."""
    multicast_bytes: dict[str, int]
    """What was sent to each neighbour of multicast over UDP: sealed datagrams with their headers,
    without those of TLS."""


class Status(Value, frozen=True):
    """The state of the router, and of the network as it sees it."""

    schema: int
    """Version of these values: 1."""
    router: RouterStatus
    """This site and its router."""
    links: tuple[LinkStatus, ...]
    """Its links."""
    sites: tuple[SiteStatus, ...]
    """Every site of the network that is known, this one included."""
    addresses: tuple[AddressStatus, ...]
    """Every address that some site serves or binds."""
    connectors: tuple[ConnectorStatus, ...]
    """What this site exposes."""
    listeners: tuple[ListenerStatus, ...]
    """What this site binds."""
    flows: tuple[FlowStatus, ...]
    """Live flows that begin or end here, the oldest 200."""
    flows_total: int
    """How many there are."""
    counters: Counters
    """Totals since the router started."""
    bundles: tuple[BundlesStatus, ...] = ()
    """What carries the flows between this site and others, by site and end."""
    both_out: tuple[tuple[str, str], ...] = ()
    """Pairs of sites whose authorities have expelled each other, so that both are out."""
