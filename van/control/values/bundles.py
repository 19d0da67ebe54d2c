"""What carries the flows between a site and another one."""

from van.control.values.base import Value


class BundlesStatus(Value, frozen=True):
    """The bundles with one other site on which the flows of one direction are, and what has left
    them. What the kernel tells is of what this end sends."""

    site: str
    """The other site."""
    role: str
    """`ingress` where this site opens the flows, `egress` where the other one does."""
    bundles: int
    """How many there are: connections that many flows share."""
    flows: int
    """Flows on them."""
    bulk: int
    """Flows that have moved to a channel of their own."""
    congestion: tuple[str, ...]
    """The congestion control that they have, as the kernel tells; more than one only while older
    connections have another one."""
    round_trip_ms: float | None
    """The mean of their smoothed round trips; null where the kernel does not tell."""
    segments: int
    """Segments with data that this end has sent on them, modulo 2^32 for each."""
    repeated: int
    """Those of them that were sent again."""
    stalled: int
    """Bundles on which what was sent is not acknowledged in time, when that was looked at last."""
    recovering: int
    """Bundles on which something was lost and is being sent again."""
