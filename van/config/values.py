"""What a site's configuration says: what its router opens, dials, exposes, and binds."""

import re
from typing import Final, Self

import attrs

from van.errors import InvalidName
from van.names import Address, Endpoint, Target
from van.policy import check_sources
from van.wire.lsa import DEFAULT_PRECEDENCE, DEFAULT_WEIGHT, Distribution

PROTOCOLS: Final = ("tcp", "udp", "http")
"""Protocols that an address may have."""
MAX_COST: Final = 65535
"""Highest cost of a link, the same as in OSPF (RFC 2328, section A.4.2)."""
AUTO: Final = "auto"
"""In the place of a link's cost: it follows the measured round trip."""
DEFAULT_HOLD: Final = 1.05
"""Seconds of silence after which a neighbour counts as gone: heartbeats go out every 0.3 s."""
MIN_HOLD: Final = 0.1
MAX_HOLD: Final = 60.0
DEFAULT_IDLE: Final = 60.0
"""Seconds after which a UDP session without traffic ends: twice the keep-alive interval that is
common among protocols over UDP."""
MIN_IDLE: Final = 0.1
MAX_IDLE: Final = 86400.0
MIN_CONNECT_TIMEOUT: Final = 0.1
MAX_CONNECT_TIMEOUT: Final = 3600.0
DEFAULT_RETURN_DAYS: Final = 30
MAX_RETURN_DAYS: Final = 3650
DEFAULT_SPIN: Final = 50
MAX_SPIN: Final = 1000
DISTRIBUTIONS: Final = {each.name.lower(): each for each in Distribution}
LOG_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""How much a router logs, with the numbers that Python gives the levels."""
LOG_FORMATS: Final = ("text", "json")
SYSTEM: Final = "system"
"""In the place of a congestion control: whichever the system has for the path."""
_CONGESTION = re.compile(r"[a-z0-9_-]{1,15}", re.ASCII)
_CHECK_PATH = re.compile(r"/[!-~]{0,255}", re.ASCII)


@attrs.frozen
class Check:
    """How it is looked whether a target is well: by a connection, or by a request for a path."""

    path: str = ""
    """What is asked for by HTTP; empty: a connection will do."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `tcp` or `http:/PATH`; raise `InvalidName`."""
        if text == "tcp":
            return cls()
        path = text.removeprefix("http:")
        if path != text and _CHECK_PATH.fullmatch(path):
            return cls(path)
        raise InvalidName(f"check {text!r} is not valid: use tcp, or http:/PATH")

    def __str__(self) -> str:
        return f"http:{self.path}" if self.path else "tcp"


@attrs.frozen
class LinkConfig:
    """A link to a neighbour; without addresses, it is the neighbour that dials."""

    site: str
    addresses: tuple[Endpoint, ...] = ()
    cost: int = 1
    """1 or more, or `AUTO_COST`."""
    hold: float = DEFAULT_HOLD
    """Seconds of silence after which the link counts as lost."""


@attrs.frozen
class ConnectorConfig:
    """Attaches a target to an address."""

    protocol: str
    address: Address
    target: Target
    distribution: Distribution = Distribution.BALANCED
    weight: int = DEFAULT_WEIGHT
    """How much of the work it gets, compared with others."""
    precedence: int = DEFAULT_PRECEDENCE
    """Used only when none of a higher one is left."""
    check: Check | None = None
    connect_timeout: float | None = None
    """Seconds that a target may take to accept a connection; None for as long as the system
    waits."""
    proxy_protocol: bool = False
    """Whether a target hears first who its client is, by the PROXY protocol (tcp only)."""
    allow_from: tuple[str, ...] = attrs.field(default=(), converter=check_sources)
    """Which sites may reach it, as `van.policy.check_source` reads them; empty: all that may reach
    the address."""


@attrs.frozen
class ListenerConfig:
    """A local port that leads to an address."""

    protocol: str
    address: Address
    listen: Endpoint
    idle: float = DEFAULT_IDLE
    """Seconds after which a UDP session without traffic ends."""
    first_reply: bool = False
    """Whether a client of TCP multicast hears the first that answers."""


@attrs.frozen
class SiteConfig:
    """All of a site's configuration; the default is a site that does nothing yet."""

    listen: Endpoint | None = None
    advertise: tuple[Endpoint, ...] = ()
    transit: bool = True
    """Whether anything may ever be sent through this site."""
    drained: bool = False
    """Whether nothing is to be sent through this site for a time."""
    withdrawn: bool = False
    """Whether what this site exposes is left to others for a time."""
    return_days: int = DEFAULT_RETURN_DAYS
    """Days after its certificate has run out in which a site may come back by its old key."""
    spin: int = DEFAULT_SPIN
    """Microseconds for which the router looks for more after it has moved something."""
    congestion: str = SYSTEM
    """Which congestion control connections to other sites have."""
    log_level: str = "info"
    """One of `LOG_LEVELS`."""
    log_format: str = "text"
    """One of `LOG_FORMATS`."""
    links: tuple[LinkConfig, ...] = ()
    connectors: tuple[ConnectorConfig, ...] = ()
    listeners: tuple[ListenerConfig, ...] = ()


def check_log_level(text: str) -> str:
    """Return a level of the log unchanged, or raise `InvalidName`."""
    if text in LOG_LEVELS:
        return text
    raise InvalidName(f"log level {text!r} is not known: use {', '.join(LOG_LEVELS)}")


def check_congestion(text: str) -> str:
    """Return the name of a congestion control unchanged, or raise `InvalidName`."""
    if _CONGESTION.fullmatch(text):
        return text
    raise InvalidName(f"congestion control {text!r} is not valid: use {SYSTEM}, or a name as bbr")


def check_log_format(text: str) -> str:
    """Return a form of the log's lines unchanged, or raise `InvalidName`."""
    if text in LOG_FORMATS:
        return text
    raise InvalidName(f"log format {text!r} is not known: use {' or '.join(LOG_FORMATS)}")


def check_protocol(text: str) -> str:
    """Return a protocol's name unchanged, or raise `InvalidName`."""
    if text in PROTOCOLS:
        return text
    raise InvalidName(f"protocol {text!r} is not known: use {', '.join(PROTOCOLS)}")


def parse_distribution(text: str) -> Distribution:
    """Return a distribution by its name, or raise `InvalidName`."""
    if text in DISTRIBUTIONS:
        return DISTRIBUTIONS[text]
    raise InvalidName(f"distribution {text!r} is not known: use {', '.join(DISTRIBUTIONS)}")
