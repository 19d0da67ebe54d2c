"""The map of the network."""

from van.control.values.base import Value


class NetworkSite(Value, frozen=True):
    """A site, and the way to it from the map's source."""

    site: str
    """Name of the site."""
    cost: int | None
    """Cost of the path, or null when there is none."""
    hops: int | None
    """Links on the path."""
    path: tuple[str, ...] | None
    """Every site on it, the source first."""
    is_transit: bool
    """Whether paths may lead through it to others."""


class NetworkLink(Value, frozen=True):
    """A pair of neighbours, each pair once."""

    site: str
    """One end: of the two, the name that sorts first."""
    neighbor: str
    """The other end."""
    cost: int | None
    """Cost from the site to the neighbour; null when the site does not advertise the link."""
    cost_back: int | None
    """Cost from the neighbour to the site, likewise."""
    round_trip_ms: float | None
    """As an end last advertised it."""
    is_two_way: bool
    """Whether both ends advertise it; if not, it is on no path."""


class Network(Value, frozen=True):
    """The network as it looks from the source."""

    source: str
    """The site that the paths begin at."""
    sites: tuple[NetworkSite, ...]
    """Every site that is known."""
    links: tuple[NetworkLink, ...]
    """Every pair of neighbours that is advertised."""
