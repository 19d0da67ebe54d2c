"""What is asked when a site is taken out of the way, or its router stopped."""

from typing import Annotated, Final

from msgspec import Meta

from van.control.values.base import Value

MAX_GRACE: Final = 86400


class DrainSpec(Value, frozen=True, forbid_unknown_fields=True):
    """How far a site is to be drained."""

    serve: bool = False
    """Whether what the site serves is left to others too: new flows go to them, or nowhere."""


class StopSpec(Value, frozen=True, forbid_unknown_fields=True):
    """How a router is to stop."""

    grace: Annotated[float, Meta(ge=0, le=MAX_GRACE)] | None = None
    """0 to 86400: seconds that flows are given to end, those in transit too; null is 5."""
    is_for_good: bool = False
    """Whether the site goes for good: the network forgets it, and its name is free."""
