"""Connectors and listeners: what ties the programs of a site to addresses."""

from typing import Annotated

from msgspec import Meta

from van.control.values.base import Value


class ConnectorSpec(Value, frozen=True, forbid_unknown_fields=True):
    """A target that is to be attached to an address, or detached."""

    address: str
    """`name:port`."""
    protocol: str = "tcp"
    """`tcp`, `udp`, or `http`."""
    target: str | None = None
    """`host:port`, or `unix:/PATH` for `tcp`; null is the address's port on loopback, in
    `DELETE` every target."""
    distribution: str = "balanced"
    """`balanced`, `closest`, or `multicast`; this and what follows is of no account for
    `DELETE`."""
    weight: Annotated[int, Meta(ge=1, le=1000)] = 1
    """1 to 1000: how much of the work it gets beside others."""
    precedence: Annotated[int, Meta(ge=0, le=255)] = 100
    """0 to 255: it is used only when nothing of a higher one is left."""
    join: bool = True
    """Whether it may take flows from other sites that serve the address already; if not, and it
    would, it is refused with who they are. The command line asks for it."""
    check: str | None = None
    """`tcp` or `http:/PATH`: looked at every two seconds."""
    connect_timeout: Annotated[float, Meta(ge=0.1, le=3600)] | None = None
    """0.1 to 3600: seconds that the target may take to accept a connection; null for as long as the
    system waits."""
    proxy_protocol: bool = False
    """Whether each connection to the target begins with a header of the PROXY protocol, version 2,
    that says who the client is."""
    allow_from: Annotated[tuple[str, ...], Meta(max_length=64)] | None = None
    """Which sites may reach it: up to 64 names, patterns such as `laptop-*`, and tags such as
    `tag:prod`; none: all that may reach the address; null: as it is, or as it is for the other
    targets of the address."""


class ListenerSpec(Value, frozen=True, forbid_unknown_fields=True):
    """A local port that is to be opened to an address, or closed."""

    address: str
    """`name:port`."""
    protocol: str = "tcp"
    """`tcp`, `udp`, or `http`."""
    listen: str | None = None
    """`host:port`; null is the address's port on loopback, in `DELETE` every port."""
    idle: Annotated[float, Meta(ge=0.1, le=86400)] = 60.0
    """0.1 to 86400: seconds after which a UDP session without traffic ends."""
    first_reply: bool = False
    """Whether a client of TCP multicast hears the first server that answers; otherwise what
    they answer is discarded."""


class ConnectorStatus(Value, frozen=True):
    """What this site exposes: one target of an address."""

    address: str
    """`name:port`."""
    protocol: str
    """`tcp`, `udp`, or `http`."""
    target: str
    """`host:port` of the local server, or `unix:/PATH`."""
    state: str
    """`ready`, `slow` (it takes its time: others that are well get the flows), `unknown` (nobody
    found it to be there yet), `failing` (it refuses, or fails its check), `draining` (it takes no
    new flows, and goes with the last), `drained` (the site is: new flows go to others), or `not
    allowed`."""
    detail: str
    """Why."""
    flows: int
    """Live flows."""
    distribution: str
    """`balanced`, `closest`, or `multicast`."""
    weight: int
    """How much of the work it gets beside others."""
    precedence: int
    """It is used only when nothing of a higher one is left."""
    connect_timeout: float | None
    """Seconds that the target may take to accept a connection; null for as long as the system
    waits."""
    proxy_protocol: bool
    """Whether each connection to the target begins with a header of the PROXY protocol."""
    allow_from: tuple[str, ...]
    """Which sites may reach it; none: all that may reach the address."""
    instances: int
    """Places behind the target that take flows: addresses of a host name, or one."""
    in_flight: float
    """Flows that do something; one that is quiet counts for a tenth."""
    expected_delay_ms: float | None
    """Of the next request, as learned from those before; null when none is ready."""


class ListenerStatus(Value, frozen=True):
    """What this site binds: one local port that leads to an address."""

    address: str
    """`name:port`."""
    protocol: str
    """`tcp`, `udp`, or `http`."""
    listen: str
    """`host:port` where programs connect."""
    state: str
    """`open`, `waiting` (no site that can be reached exposes the address), `failed`, or `not
    allowed` (by this site's certificate, or by all who expose it)."""
    detail: str
    """Why."""
    flows: int
    """Live flows."""
