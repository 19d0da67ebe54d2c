"""A site's configuration: what its router opens, dials, exposes, and binds.

The file is TOML that a person may edit while the router is down; the router rewrites it whenever a
link, connector, or listener is made or removed. Keys and certificates are kept elsewhere.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import attrs
import tomli_w

from van.errors import InvalidName
from van.files import read_bytes, write_atomic
from van.names import Address, Endpoint, Target, check_site_name, parse_target
from van.toml import Table, parse_toml
from van.wire.fields import AUTO_COST
from van.wire.lsa import (
    DEFAULT_PRECEDENCE,
    DEFAULT_WEIGHT,
    MAX_PRECEDENCE,
    MAX_WEIGHT,
    Distribution,
)

PROTOCOLS: Final = ("tcp", "udp")
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
DISTRIBUTIONS: Final = {each.name.lower(): each for each in Distribution}
_CHECK_PATH = re.compile(r"/[!-~]{0,255}", re.ASCII)
MAX_FILE: Final = 4 * 1024 * 1024
"""Largest file in bytes: tens of thousands of entries."""

HEADER: Final = """\
# A site of a Virtual Application Network.
#
# You may edit this file: run 'van down' first, and 'van up' after. The router rewrites it when a
# link, connector, or listener is made or removed, and keeps no comments but these.
#
# [router]     listen = "HOST:PORT"       where other sites may dial this one; absent: nowhere
#              advertise = ["HOST:PORT"]  what tokens tell them to dial; absent: worked out
#              transit = false            nothing is sent through this site; absent: true
#              drained = true             the same for a time, by 'van site drain'
# [[link]]     site, addresses = ["HOST:PORT"] (dialled in turn; none: the other side dials),
#              cost = 1 or more, or "auto" (follows the round trip),
#              hold = 1.05 (seconds of silence after which it counts as lost)
# [[connector]] protocol, address = "NAME:PORT", target = "HOST:PORT" or "unix:/PATH",
#              distribution = "balanced", "closest", or "multicast", weight = 1, precedence = 100,
#              check = "tcp" or "http:/PATH" (looks every few seconds whether the target is well),
#              since (when it was exposed, in seconds since 1970)
# [[listener]]  protocol, address = "NAME:PORT", listen = "HOST:PORT",
#              idle = 60.0 (udp: seconds after which a session without traffic ends),
#              first_reply = true (tcp multicast: clients hear the first that answers)

"""


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
    since: int = 0
    """Unix time at which it was exposed."""


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
    links: tuple[LinkConfig, ...] = ()
    connectors: tuple[ConnectorConfig, ...] = ()
    listeners: tuple[ListenerConfig, ...] = ()


def load_config(path: Path) -> SiteConfig:
    """Read a site's configuration; a file that is not there is an empty one.

    Raises `ConfigError` with FILE:LINE and what would be right, or `StorageError`.
    """
    root = parse_toml(path, read_bytes(path, limit=MAX_FILE) or b"")
    router = root.read_table("router")
    config = SiteConfig(
        listen=router.read_text("listen", Endpoint.parse, example="0.0.0.0:7671"),
        advertise=router.read_texts("advertise", Endpoint.parse, example="edge.example:7671"),
        transit=router.read_flag("transit", default=True),
        drained=router.read_flag("drained", default=False),
        links=_read_all(root, "link", _read_link, lambda link: f"link to {link.site!r}"),
        connectors=_read_all(
            root,
            "connector",
            _read_connector,
            lambda c: f"{_kind(c.protocol)}connector of {c.address} to {c.target}",
        ),
        listeners=_read_all(
            root,
            "listener",
            _read_listener,
            lambda x: f"{_kind(x.protocol)}listener of {x.address} at {x.listen}",
        ),
    )
    router.finish()
    root.finish()
    return config


def save_config(path: Path, config: SiteConfig) -> None:
    """Replace a site's configuration; a crash leaves the old or the new. Raises `StorageError`."""
    write_atomic(path, (HEADER + tomli_w.dumps(_encode(config))).encode())


T = TypeVar("T")


def _read_all(
    root: Table, key: str, read: Callable[[Table], T], describe: Callable[[T], str]
) -> tuple[T, ...]:
    """Read every table of a kind; `describe` says what no two of them may have in common."""
    found: dict[str, T] = {}
    for table in root.read_tables(key):
        value = read(table)
        table.finish()
        if describe(value) in found:
            raise table.error(None, f"{describe(value)} is there twice: keep one")
        found[describe(value)] = value
    return tuple(found.values())


def _kind(protocol: str) -> str:
    return "" if protocol == "tcp" else f"{protocol} "


def _read_link(table: Table) -> LinkConfig:
    return LinkConfig(
        site=table.require_text("site", check_site_name, example="hub"),
        addresses=table.read_texts("addresses", Endpoint.parse, example="edge.example:7671"),
        cost=table.read_number("cost", low=1, high=MAX_COST, default=1, words={AUTO: AUTO_COST}),
        hold=table.read_seconds("hold", low=MIN_HOLD, high=MAX_HOLD, default=DEFAULT_HOLD),
    )


def _read_connector(table: Table) -> ConnectorConfig:
    return ConnectorConfig(
        protocol=_read_protocol(table),
        address=table.require_text("address", Address.parse, example="db:5432"),
        target=table.require_text("target", parse_target, example="127.0.0.1:5432"),
        distribution=table.read_text("distribution", parse_distribution, example="balanced")
        or Distribution.BALANCED,
        weight=table.read_number("weight", low=1, high=MAX_WEIGHT, default=DEFAULT_WEIGHT),
        precedence=table.read_number(
            "precedence", low=0, high=MAX_PRECEDENCE, default=DEFAULT_PRECEDENCE
        ),
        check=table.read_text("check", Check.parse, example="http:/health"),
        since=table.read_number("since", low=0, high=2**62, default=0),
    )


def _read_listener(table: Table) -> ListenerConfig:
    return ListenerConfig(
        protocol=_read_protocol(table),
        address=table.require_text("address", Address.parse, example="db:5432"),
        listen=table.require_text("listen", Endpoint.parse, example="127.0.0.1:5432"),
        idle=table.read_seconds("idle", low=MIN_IDLE, high=MAX_IDLE, default=DEFAULT_IDLE),
        first_reply=table.read_flag("first_reply", default=False),
    )


def _read_protocol(table: Table) -> str:
    return table.read_text("protocol", check_protocol, example="tcp") or "tcp"


def check_protocol(text: str) -> str:
    """Return a protocol's name unchanged, or raise `InvalidName`."""
    if text in PROTOCOLS:
        return text
    raise InvalidName(f"protocol {text!r} is not known: use {' or '.join(PROTOCOLS)}")


def parse_distribution(text: str) -> Distribution:
    """Return a distribution by its name, or raise `InvalidName`."""
    if text in DISTRIBUTIONS:
        return DISTRIBUTIONS[text]
    raise InvalidName(f"distribution {text!r} is not known: use {', '.join(DISTRIBUTIONS)}")


def _encode(config: SiteConfig) -> dict[str, Any]:
    router: dict[str, Any] = {}
    if config.listen:
        router["listen"] = str(config.listen)
    if config.advertise:
        router["advertise"] = _texts(config.advertise)
    if not config.transit:
        router["transit"] = False
    if config.drained:
        router["drained"] = True
    tables = {
        "router": router,
        "link": [_encode_link(link) for link in config.links],
        "connector": [_encode_connector(connector) for connector in config.connectors],
        "listener": [_encode_listener(listener) for listener in config.listeners],
    }
    return {name: value for name, value in tables.items() if value}


def _encode_link(link: LinkConfig) -> dict[str, Any]:
    found: dict[str, Any] = {
        "site": link.site,
        "addresses": _texts(link.addresses),
        "cost": AUTO if link.cost == AUTO_COST else link.cost,
    }
    if link.hold != DEFAULT_HOLD:
        found["hold"] = link.hold
    return found


def _encode_connector(connector: ConnectorConfig) -> dict[str, Any]:
    found: dict[str, Any] = {
        "protocol": connector.protocol,
        "address": str(connector.address),
        "target": str(connector.target),
    }
    if connector.distribution is not Distribution.BALANCED:
        found["distribution"] = connector.distribution.name.lower()
    if connector.weight != DEFAULT_WEIGHT:
        found["weight"] = connector.weight
    if connector.precedence != DEFAULT_PRECEDENCE:
        found["precedence"] = connector.precedence
    if connector.check is not None:
        found["check"] = str(connector.check)
    if connector.since:
        found["since"] = connector.since
    return found


def _encode_listener(listener: ListenerConfig) -> dict[str, Any]:
    found: dict[str, Any] = {
        "protocol": listener.protocol,
        "address": str(listener.address),
        "listen": str(listener.listen),
    }
    if listener.idle != DEFAULT_IDLE:
        found["idle"] = listener.idle
    if listener.first_reply:
        found["first_reply"] = True
    return found


def _texts(endpoints: Iterable[Endpoint]) -> list[str]:
    return [str(endpoint) for endpoint in endpoints]
