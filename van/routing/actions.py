"""What a routing engine asks its shell to do, and what it reports."""

import attrs

from van.routing.paths.fib import Fib
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
class NeighborContested:
    """Close the link, call `Engine.link_closed`, and tell the neighbour why: its name belongs to a
    site with a better claim to it."""

    neighbor: str


@attrs.frozen
class LinkDamped:
    """Report a link that was lost so often that it will not be used for a while, though it may
    come up."""

    neighbor: str
    seconds: float
    """For how long, if it is not lost again."""


@attrs.frozen
class LinkReleased:
    """Report that a damped link is used again."""

    neighbor: str


@attrs.frozen
class CostChanged:
    """Report that the cost of a link has followed its round trip."""

    neighbor: str
    cost: int


@attrs.frozen
class FibChanged:
    """Use the new table from now on."""

    fib: Fib
    previous: Fib


@attrs.frozen
class AlternatesFound:
    """Use `Engine.second_hop` anew: it may give other neighbours now."""


@attrs.frozen
class OwnIncarnationAdvanced:
    """Keep the incarnation for the next start: the network knew us by one as high as ours."""

    incarnation: int


@attrs.frozen
class IdentityShared:
    """Report that two routers run with the keys of one site, for what each says comes in turn."""

    site: str
    must_make_way: bool
    """Whether this router is the younger of the two, and surely so."""


@attrs.frozen
class SiteLeft:
    """Report that a site has said goodbye for good."""

    site: str
    key_id: str
    """What stands for its key."""


@attrs.frozen
class AdvertisementDropped:
    """Report an advertisement, or a part of one, that was not taken."""

    neighbor: str
    """Who passed it on; not to blame unless it is the origin itself."""
    origin: str
    cause: str
    detail: str


Action = (
    Send
    | NeighborSilent
    | NeighborContested
    | LinkDamped
    | LinkReleased
    | CostChanged
    | FibChanged
    | AlternatesFound
    | OwnIncarnationAdvanced
    | IdentityShared
    | SiteLeft
    | AdvertisementDropped
)
