"""Every key of `config.toml`, once: how it is read, written, and explained.

The reader, the writer, the head of the file, and `docs/configuration.md` are all made from this
table, so that none of them can say what another doesn't.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

import attrs

from van.config.values import (
    AUTO,
    DEFAULT_HOLD,
    DEFAULT_IDLE,
    DEFAULT_RETURN_DAYS,
    DEFAULT_SPIN,
    DISTRIBUTIONS,
    LOG_FORMATS,
    LOG_LEVELS,
    MAX_CONNECT_TIMEOUT,
    MAX_COST,
    MAX_HOLD,
    MAX_IDLE,
    MAX_RETURN_DAYS,
    MAX_SPIN,
    MIN_CONNECT_TIMEOUT,
    MIN_HOLD,
    MIN_IDLE,
    PROTOCOLS,
    SYSTEM,
    Check,
    ConnectorConfig,
    LinkConfig,
    ListenerConfig,
    SiteConfig,
    check_congestion,
    check_log_format,
    check_log_level,
    check_protocol,
    parse_distribution,
)
from van.names import Address, Endpoint, check_site_name, parse_target
from van.policy import check_source
from van.toml.table import Table
from van.wire.fields import AUTO_COST
from van.wire.lsa import (
    DEFAULT_PRECEDENCE,
    DEFAULT_WEIGHT,
    MAX_PRECEDENCE,
    MAX_WEIGHT,
    Distribution,
)

V = TypeVar("V")


@attrs.frozen
class Key:
    """One key: its name is that of the field of the value too."""

    name: str
    example: str
    """What may stand after the equals sign."""
    values: str
    """All that may stand there, in words."""
    meaning: str
    read: Callable[[Table, str], Any]
    """Takes it from a table; raises `ConfigError`."""
    write: Callable[[Any], Any]
    """Returns what TOML says of the field's value."""
    default: Any = attrs.NOTHING
    """The field's value when the key is not there; nothing when it must be there."""
    is_always_written: bool = False

    @property
    def is_required(self) -> bool:
        """Tell whether it must be there."""
        return self.default is attrs.NOTHING


@attrs.frozen
class Section(Generic[V]):
    """A table of the file, or a list of tables; a command may add and remove those of a list."""

    name: str
    header: str
    """What stands above each."""
    meaning: str
    make: Callable[..., V]
    keys: tuple[Key, ...]
    field: str = ""
    """That of `SiteConfig` with all the values of a list."""
    identity: Callable[[V], str] = str
    """Says what no two of a list may have in common."""
    retired: tuple[str, ...] = ()
    """Keys that earlier versions wrote, which may still stand there."""

    def read(self, table: Table) -> V:
        """Return the value of a table; raise `ConfigError`."""
        table.expect([key.name for key in self.keys], retired=self.retired)
        return self.make(**{key.name: key.read(table, key.name) for key in self.keys})

    def encode(self, value: V) -> dict[str, Any]:
        """Return the keys that say a value, those left out whose defaults do."""
        found = {key: getattr(value, key.name) for key in self.keys}
        return {
            key.name: key.write(field)
            for key, field in found.items()
            if key.is_always_written or field != key.default
        }

    def encode_changes(self, old: V, new: V) -> dict[str, Any]:
        """Return the keys that a change of value sets, or removes, where None is."""
        before, after = self.encode(old), self.encode(new)
        gone = dict.fromkeys(before.keys() - after.keys())
        return {name: each for name, each in after.items() if before.get(name) != each} | gone


def _text(
    name: str,
    parse: Callable[[str], Any],
    *,
    example: str,
    values: str,
    meaning: str,
    default: Any = attrs.NOTHING,
    is_always_written: bool = False,
) -> Key:
    def read(table: Table, key: str) -> Any:
        if default is attrs.NOTHING:
            return table.require_text(key, parse, example=example)
        value = table.read_text(key, parse, example=example)
        return default if value is None else value

    return Key(name, f'"{example}"', values, meaning, read, str, default, is_always_written)


def _texts(
    name: str,
    parse: Callable[[str], Any],
    *,
    example: str,
    values: str,
    meaning: str,
    is_always_written: bool = False,
) -> Key:
    def read(table: Table, key: str) -> Any:
        return table.read_texts(key, parse, example=example)

    def write(value: tuple[object, ...]) -> list[str]:
        return [str(each) for each in value]

    return Key(name, f'["{example}"]', values, meaning, read, write, (), is_always_written)


def _number(name: str, low: int, high: int, default: int, *, meaning: str) -> Key:
    def read(table: Table, key: str) -> int:
        return table.read_number(key, low=low, high=high, default=default)

    return Key(name, str(default), f"{low} to {high}", meaning, read, int, default)


def _seconds(name: str, low: float, high: float, default: float, *, meaning: str) -> Key:
    def read(table: Table, key: str) -> float:
        return table.read_seconds(key, low=low, high=high, default=default)

    values = f"{low:g} to {high:g} seconds"
    return Key(name, str(default), values, meaning, read, float, default)


def _connect_timeout() -> Key:
    low, high = MIN_CONNECT_TIMEOUT, MAX_CONNECT_TIMEOUT

    def read(table: Table, key: str) -> float | None:
        return table.read_seconds(key, low=low, high=high, default=0.0) or None

    values = f"{low:g} to {high:g} seconds"
    meaning = (
        "How long the target may take to accept a connection where nobody else could have it (tcp "
        "only). Absent: for as long as the system waits."
    )
    return Key("connect_timeout", "10.0", values, meaning, read, float, None)


def _flag(name: str, *, default: bool, meaning: str) -> Key:
    def read(table: Table, key: str) -> bool:
        return table.read_flag(key, default=default)

    return Key(name, str(not default).lower(), "true or false", meaning, read, bool, default)


def _cost() -> Key:
    words = {AUTO: AUTO_COST}

    def read(table: Table, key: str) -> int:
        return table.read_number(key, low=1, high=MAX_COST, default=1, words=words)

    def write(cost: int) -> int | str:
        return AUTO if cost == AUTO_COST else cost

    values = f'1 to {MAX_COST}, or "{AUTO}"'
    meaning = (
        "What it costs to send over the link: traffic takes the way of the least sum. "
        f'"{AUTO}": it follows the measured round trip.'
    )
    return Key("cost", "1", values, meaning, read, write, 1, is_always_written=True)


def _quoted(words: Mapping[str, object] | tuple[str, ...]) -> str:
    *first, last = (f'"{word}"' for word in words)
    return f"{', '.join(first)} or {last}"


def _distribution() -> Key:
    def read(table: Table, key: str) -> Distribution:
        return table.read_text(key, parse_distribution, example="balanced") or Distribution.BALANCED

    def write(distribution: Distribution) -> str:
        return distribution.name.lower()

    meaning = (
        "Who gets a new flow: the instance that will serve it soonest, the nearest one, or all. "
        "Where sites disagree, the one that has exposed the address the longest decides."
    )
    values = _quoted(DISTRIBUTIONS)
    return Key("distribution", '"balanced"', values, meaning, read, write, Distribution.BALANCED)


_PROTOCOL: Final = _text(
    "protocol",
    check_protocol,
    example="tcp",
    values=_quoted(PROTOCOLS),
    default="tcp",
    meaning="What the address speaks; one name may be there for each.",
    is_always_written=True,
)
_ADDRESS: Final = _text(
    "address",
    Address.parse,
    example="db:5432",
    values="NAME:PORT",
    meaning="The VAN address.",
)

ROUTER: Final = Section(
    "router",
    "[router]",
    "The router itself; stands there once, or not at all.",
    SiteConfig,
    (
        _text(
            "listen",
            Endpoint.parse,
            example="0.0.0.0:7671",
            values="HOST:PORT",
            default=None,
            meaning="The link port, which other sites may dial. Absent: none is open.",
        ),
        _texts(
            "advertise",
            Endpoint.parse,
            example="edge.example:7671",
            values="a list of HOST:PORT",
            meaning="What tokens tell others to dial. Absent: worked out from this machine's own.",
        ),
        _flag(
            "transit",
            default=True,
            meaning="Whether anything may be sent through this site on its way elsewhere.",
        ),
        _flag(
            "drained",
            default=False,
            meaning="As transit = false, for a time: 'van site drain' and 'undrain' set it.",
        ),
        _flag(
            "withdrawn",
            default=False,
            meaning="Whether what is exposed here is left to others for a time: "
            "'van site drain --serve' sets it.",
        ),
        _number(
            "return_days",
            0,
            MAX_RETURN_DAYS,
            DEFAULT_RETURN_DAYS,
            meaning="For how long a site may come back whose certificate ran out while it was "
            "away, by this site's authority, or by one that this site asks for it.",
        ),
        _number(
            "spin",
            0,
            MAX_SPIN,
            DEFAULT_SPIN,
            meaning="Microseconds for which the router looks for more before it sleeps, after it "
            "has moved something: replies come sooner, and cost more where they come singly.",
        ),
        _text(
            "congestion",
            check_congestion,
            example="bbr",
            values=f'"{SYSTEM}", or a name that the system knows',
            default=SYSTEM,
            meaning="The congestion control of connections to other sites: bbr carries bulk faster "
            "where packets are lost. Each site decides for what it sends; 'van status' tells which "
            "connections have, and why not this one.",
        ),
        _text(
            "log_level",
            check_log_level,
            example="info",
            values=_quoted(tuple(LOG_LEVELS)),
            default="info",
            meaning="How much is logged, unless the router is started with --log-level.",
        ),
        _text(
            "log_format",
            check_log_format,
            example="text",
            values=_quoted(LOG_FORMATS),
            default="text",
            meaning="Lines for people or for programs, unless started with --log-format.",
        ),
    ),
)
LINK: Final = Section(
    "link",
    "[[link]]",
    "A link to another site; one block for each. 'van link' makes and removes them.",
    LinkConfig,
    (
        _text(
            "site",
            check_site_name,
            example="hub",
            values="a site's name",
            meaning="The other site. There is one link to each.",
        ),
        _texts(
            "addresses",
            Endpoint.parse,
            example="edge.example:7671",
            values="a list of HOST:PORT",
            meaning="Where it is dialled, one beside the other. Empty: the other side dials.",
            is_always_written=True,
        ),
        _cost(),
        _seconds(
            "hold",
            MIN_HOLD,
            MAX_HOLD,
            DEFAULT_HOLD,
            meaning="Silence after which the link counts as lost.",
        ),
    ),
    "links",
    lambda link: f"link to {link.site!r}",
)
CONNECTOR: Final = Section(
    "connector",
    "[[connector]]",
    "A target that is exposed at an address; one block for each. 'van expose' adds them.",
    ConnectorConfig,
    (
        _PROTOCOL,
        _ADDRESS,
        _text(
            "target",
            parse_target,
            example="127.0.0.1:5432",
            values="HOST:PORT, PORT, or unix:/PATH",
            meaning="Where the program listens that serves it.",
        ),
        _distribution(),
        _number(
            "weight",
            1,
            MAX_WEIGHT,
            DEFAULT_WEIGHT,
            meaning="How much of the work it gets, compared with others.",
        ),
        _number(
            "precedence",
            0,
            MAX_PRECEDENCE,
            DEFAULT_PRECEDENCE,
            meaning="It is used only when no instance of a higher one is left.",
        ),
        _text(
            "check",
            Check.parse,
            example="http:/health",
            values='"tcp", or http:/PATH',
            default=None,
            meaning="How it is looked every few seconds whether the target is well (tcp only). "
            "Absent: a target that refuses a flow is left out until it answers again.",
        ),
        _connect_timeout(),
        _flag(
            "proxy_protocol",
            default=False,
            meaning="Whether each connection to the target begins with a header that says who the "
            "client is: PROXY protocol, version 2 (tcp only).",
        ),
        _texts(
            "allow_from",
            check_source,
            example="tag:prod",
            values="a list of names, patterns such as 'laptop-*', and tags such as 'tag:prod'",
            meaning="Which sites may reach it. Absent: all that may reach the address.",
        ),
    ),
    "connectors",
    lambda each: f"{_kind(each.protocol)}connector of {each.address} to {each.target}",
    retired=("since",),
)
LISTENER: Final = Section(
    "listener",
    "[[listener]]",
    "A local port that leads to an address; one block for each. 'van bind' adds them.",
    ListenerConfig,
    (
        _PROTOCOL,
        _ADDRESS,
        _text(
            "listen",
            Endpoint.parse,
            example="127.0.0.1:5432",
            values="HOST:PORT or PORT",
            meaning="The port that programs of this machine use.",
        ),
        _seconds(
            "idle",
            MIN_IDLE,
            MAX_IDLE,
            DEFAULT_IDLE,
            meaning="Time without traffic after which a UDP session ends (udp only).",
        ),
        _flag(
            "first_reply",
            default=False,
            meaning="Whether a client hears the first instance that answers (multicast over tcp).",
        ),
    ),
    "listeners",
    lambda each: f"{_kind(each.protocol)}listener of {each.address} at {each.listen}",
)
LISTS: Final[tuple[Section[Any], ...]] = (LINK, CONNECTOR, LISTENER)
"""Sections of which there may be many, in the order in which they are written."""
SECTIONS: Final[tuple[Section[Any], ...]] = (ROUTER, *LISTS)


def _kind(protocol: str) -> str:
    return "" if protocol == "tcp" else f"{protocol} "
