"""What happens to links and routes."""

from van.control.values.base import Value


class Event(Value, frozen=True):
    """What happened to a link or a route."""

    number: int
    """Counts from 1, without a gap."""
    at: str
    """When, in UTC: `2026-03-01T12:00:00.000Z`."""
    kind: str
    """One of the kinds below; more may be added."""
    subject: str
    """The site, neighbour, or address that it happened to; empty when it is several."""
    text: str
    """What happened, for people."""


class Events(Value, frozen=True):
    """What happened after a number."""

    router: str
    """Another one after each start of the router: numbers have begun anew, so ask again from 0."""
    lost: int
    """How many events above AFTER are kept no more; the last 1000 are."""
    events: tuple[Event, ...]
    """The oldest first."""
