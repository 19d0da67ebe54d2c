"""Links, and what is asked about them."""

from typing import Annotated

from msgspec import Meta

from van.control.values.base import Cost, Value


class LinkStatus(Value, frozen=True):
    """A link of this site."""

    neighbor: str
    """The other site."""
    direction: str
    """`outgoing` when dialled from here, else `incoming`."""
    state: str
    """`up`, `damped` (up, but not used, because it comes and goes), `connecting`, or `down`."""
    cost: int
    """At present, 1 to 65535; 0 while a link that is down will have its cost from its round
    trip."""
    is_auto_cost: bool
    """Whether the cost follows the round trip."""
    hold_time: float | None
    """Seconds of silence that are allowed at present."""
    round_trip_ms: float | None
    """Smoothed round trip."""
    proof_age: float | None
    """Seconds since the neighbour was last heard."""
    up_for: float | None
    """Seconds since the link came up."""
    remote: str
    """The address dialled, or the peer's."""
    channels: int
    """Idle channels to the neighbour that are ready."""
    detail: str
    """Why it is not up, or not used."""
    clock_offset: float | None = None
    """Seconds by which the neighbour's wall clock was ahead when the link came up."""


class LinkAccept(Value, frozen=True, forbid_unknown_fields=True):
    """A token that is to be accepted."""

    token: str
    """Content of the token's file."""
    cost: Cost | None = None
    """Cost of the link; `"auto"` follows its round trip, null takes the token's."""
    hold: Annotated[float, Meta(ge=0.1, le=60.0)] | None = None
    """Seconds of silence after which the link counts as lost, 0.1 to 60; null takes 1.05."""


class LinkAccepted(Value, frozen=True):
    """What came of accepting a token."""

    van: str
    """Id of the network."""
    neighbor: str
    """The site at the other end."""
    joined: bool
    """Whether this site joined; false when it was a member already."""
    is_up: bool
    """Whether the link came up within a few seconds."""
    detail: str
    """Why it is not up."""
    warning: str = ""
    """What to see to all the same, such as a clock that is wrong."""
    has_gained: bool = False
    """Whether this site was a member, and may do more now: its certificate is a new one."""
    note: str = ""
    """What the token allows and this site did not get, and what that would take."""
    can_invite: bool = False
    """Whether this site may mint tokens now."""
    allow_expose: tuple[str, ...] = ("*",)
    """Patterns of addresses that it may expose now."""
    allow_bind: tuple[str, ...] = ("*",)
    """Patterns of addresses that it may bind now."""


class LinkCost(Value, frozen=True, forbid_unknown_fields=True):
    """The cost that a link is to have."""

    cost: Cost
    """1 to 65535; `"auto"` follows the round trip."""


class LinkHold(Value, frozen=True, forbid_unknown_fields=True):
    """How long a link may be silent."""

    hold: Annotated[float, Meta(ge=0.1, le=60.0)]
    """Seconds of silence after which the link counts as lost, 0.1 to 60."""
