"""The state of a simulated network's sites and links."""

import math
from collections.abc import Callable

import attrs

from lab.routing.authority import SiteKeyring
from van.routing.engine.engine import Engine
from van.wire.lsa import Binding, Service


@attrs.define(eq=False)
class Link:
    """A link that two sites want; `sessions` tells for each end what connection it believes in."""

    ends: tuple[str, str]
    delay: float
    jitter: float
    costs: dict[str, int]
    sessions: dict[str, int] = attrs.field(factory=dict)
    blocked: set[str] = attrs.field(factory=set)
    """Ends whose bytes vanish on the way."""
    is_wanted: bool = True
    redials_at: float = -math.inf
    """When it is dialled again, or was last."""
    arrivals: dict[str, float] = attrs.field(factory=dict)
    """When the last bytes from an end arrive: later ones don't overtake them."""

    @property
    def name(self) -> frozenset[str]:
        return frozenset(self.ends)

    def other(self, site: str) -> str:
        return self.ends[self.ends[0] == site]

    def is_half_open(self, site: str) -> bool:
        """Tell whether this end alone believes in a connection."""
        return self.sessions.keys() == {site}

    def is_up(self) -> bool:
        """Tell whether both ends believe in the same connection."""
        return len(self.sessions) == 2 and len(set(self.sessions.values())) == 1


@attrs.define(eq=False)
class Site:
    engine: Engine
    keyring: SiteKeyring
    incarnation: int
    links: dict[str, Link] = attrs.field(factory=dict)
    """By neighbour."""
    services: tuple[Service, ...] = ()
    listeners: tuple[Binding, ...] = ()
    is_transit: bool = True
    is_running: bool = True
    stopped_at: float | None = None
    """Since when it neither reads nor notices the time, as by SIGSTOP; None while it does."""
    unread: list[Callable[[], None]] = attrs.field(factory=list)
    clock_offset: float = 0.0
    """By how much its clock is ahead of the others."""
    clock: float = 0.0
    """What its clock showed last; it never goes back."""
    wakes_at: float = math.inf
    """When it will next look at its timers."""

    @property
    def is_stopped(self) -> bool:
        return self.stopped_at is not None
