"""What a routing engine asks its shell to do, and what it reports."""

import attrs

from van.routing.fib import Fib
from van.wire.link import RoutingMessage


@attrs.frozen
class Send:
    """Send a message to a neighbour, after all that was sent to it before."""

    neighbor: str
    message: RoutingMessage


@attrs.frozen
class NeighborSilent:
    """Close the link and call `Engine.link_closed`: the neighbour's hold time has passed."""

    neighbor: str
    silence: float
    """Seconds since the neighbour was last heard."""


@attrs.frozen
class FibChanged:
    """Use the new table from now on."""

    fib: Fib
    previous: Fib


@attrs.frozen
class OwnIncarnationAdvanced:
    """Keep the incarnation for the next start: the network knew us by one as high as ours."""

    incarnation: int


@attrs.frozen
class AdvertisementDropped:
    """Report an advertisement, or a part of one, that was not taken."""

    neighbor: str
    """Who passed it on; not to blame unless it is the origin itself."""
    origin: str
    cause: str
    detail: str


Action = Send | NeighborSilent | FibChanged | OwnIncarnationAdvanced | AdvertisementDropped
