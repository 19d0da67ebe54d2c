"""Where a flow would go now: its path hop by hop, and why it would go there."""

from van.control.values.base import Value


class TraceSpec(Value, frozen=True, forbid_unknown_fields=True):
    """A path that is to be found out."""

    target: str
    """Name of a site, or `name:port`."""
    protocol: str | None = None
    """Of the address; null for the one that it is served over, `tcp` of both."""


class TraceCandidate(Value, frozen=True):
    """A site that serves the address."""

    site: str
    """A site that serves the address."""
    cost: int
    """Cost of the path to it."""
    flows: int
    """Flows to the address that are under way from here to there."""


class TraceHop(Value, frozen=True):
    """A site on the path."""

    site: str
    """Name of the site."""
    round_trip_ms: float | None
    """Median of three probes; null when none was answered within a second."""


class Trace(Value, frozen=True):
    """The path that a flow to the target takes now."""

    target: str
    """As asked."""
    site: str
    """Where the path leads: for an address, where a flow that begins now would go."""
    candidates: tuple[TraceCandidate, ...]
    """Sites that serve the address, in the order in which a flow is offered; none for a site."""
    hops: tuple[TraceHop, ...]
    """The path, this site not counted."""
    has_arrived: bool
    """Whether the site at the end has answered."""
    detail: str
    """Why not."""
    protocol: str | None
    """Of the address; null for a site."""


class ExplainSpec(Value, frozen=True, forbid_unknown_fields=True):
    """An address whose choice of a site is to be explained."""

    address: str
    """`name:port`."""
    protocol: str | None = None
    """`tcp`, `udp`, or `http`; null for the first of these that it is served over."""


class CandidateExplanation(Value, frozen=True):
    """A site that serves the address, and what its score is made of."""

    site: str
    """A site that serves the address."""
    path: tuple[str, ...]
    """Every site on the way, this one first."""
    cost: int
    """Cost of the path."""
    round_trip_ms: float
    """About how long the way there and back takes."""
    distribution: str
    """As this site says."""
    weight: int
    """Of its targets together."""
    precedence: int
    """Of its best targets."""
    flows: int
    """Flows under way from here."""
    in_flight: float | None
    """Work that is there, as last reported, corrected by what was done from here since."""
    report_age: float | None
    """Seconds since that report."""
    expected_delay_ms: float
    """How long a request is expected to wait for its answer there."""
    own_delay_ms: float | None
    """Mean of the answers that came here of late, the path included."""
    overdue: float
    """Seconds that the oldest request from here has waited, if that is far too long; or 0."""
    penalty_ms: float
    """For failures of late."""
    ejected_for: float
    """Seconds for which it is out, after failures in a row; or 0."""
    score_ms: float
    """What is compared: the least is best."""
    reason: str
    """Why it has its place."""


class NotAllowedSite(Value, frozen=True):
    """A site that serves the address, and does not let this one in."""

    site: str
    """A site that serves the address."""
    reason: str
    """Why this site may not reach it there."""


class Explain(Value, frozen=True):
    """Where a flow to the address would go now, and why."""

    address: str
    """As asked."""
    protocol: str
    """As asked, or found."""
    distribution: str
    """`balanced`, `closest`, or `multicast`, as the site says that has served it longest."""
    dissenters: tuple[str, ...]
    """Sites that serve it and say otherwise."""
    candidates: tuple[CandidateExplanation, ...]
    """Sites that serve it and let this one in; the first gets the next flow."""
    not_allowed: tuple[NotAllowedSite, ...]
    """Sites that serve it and do not."""
