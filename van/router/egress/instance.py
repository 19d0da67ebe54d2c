"""Instances: the processes behind a target, and what is known of each.

What a connection, a datagram, or a check tells of an instance is a *finding*; what follows from it
is one table. One flow's ending is none: a target that took a connection and broke it off has taken
it.
"""

import enum
import errno
import os
from typing import TYPE_CHECKING, Final

import attrs

from van.balancing.delay_curve import Load
from van.balancing.sharing import Occupancy
from van.names import Target
from van.router.egress.backlog import Backlog

if TYPE_CHECKING:
    from van.router.egress.connector import Connector


class Verdict(enum.Enum):
    """What a finding says of an instance."""

    WELL = "well"
    """It took the connection at once, and passed the check."""
    LATE = "late"
    """Likewise, but it took its time."""
    SILENT = "silent"
    """Nothing was heard of it so far."""
    FAILED = "failed"
    """It, or its host, said no."""
    UNASKED = "unasked"
    """This machine lacked what it takes to ask, which says nothing of the instance."""


class Condition(enum.Enum):
    """How an instance stands."""

    UNKNOWN = "unknown"
    """Nothing was found out since it was attached, or since the router started."""
    WELL = "well"
    SLOW = "slow"
    """It takes its time: others that are well get the flows, as long as there are any."""
    FAILING = "failing"
    """It gets none until it is found well."""

    def __init__(self, name: str) -> None:
        self.is_usable = name in {"well", "slow"}
        """Whether flows may go to an instance that stands so; no property, as each flow asks."""


_WELL: Final = Condition.WELL
_SLOW: Final = Condition.SLOW

FOLLOWS: Final[dict[Condition, dict[Verdict, Condition]]] = {
    Condition.UNKNOWN: {
        Verdict.WELL: Condition.WELL,
        Verdict.LATE: Condition.SLOW,
        Verdict.SILENT: Condition.UNKNOWN,
        Verdict.FAILED: Condition.FAILING,
        Verdict.UNASKED: Condition.UNKNOWN,
    },
    Condition.WELL: {
        Verdict.WELL: Condition.WELL,
        Verdict.LATE: Condition.SLOW,
        Verdict.SILENT: Condition.SLOW,
        Verdict.FAILED: Condition.FAILING,
        Verdict.UNASKED: Condition.WELL,
    },
    Condition.SLOW: {
        Verdict.WELL: Condition.WELL,
        Verdict.LATE: Condition.SLOW,
        Verdict.SILENT: Condition.SLOW,
        Verdict.FAILED: Condition.FAILING,
        Verdict.UNASKED: Condition.SLOW,
    },
    Condition.FAILING: {
        Verdict.WELL: Condition.WELL,
        Verdict.LATE: Condition.SLOW,
        Verdict.SILENT: Condition.FAILING,
        Verdict.FAILED: Condition.FAILING,
        Verdict.UNASKED: Condition.FAILING,
    },
}
"""Silence alone withdraws nothing that was known to be there, and advertises nothing that was
not."""


@attrs.frozen
class Finding:
    """What was found out of an instance, and why that is not all well."""

    verdict: Verdict
    why: str = ""


ALL_WELL: Final = Finding(Verdict.WELL)

_TAKEN: Final = frozenset({errno.ECONNRESET, errno.EPIPE})
"""The connection was taken, and broken off since: that is the flow's end, and no refusal."""
_SILENT: Final = frozenset({errno.ETIMEDOUT})
_UNASKED: Final = frozenset(
    {
        errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS,  # descriptors, memory
        errno.EAGAIN,  # room in a kernel's table; a unix socket's full queue is waited for
        errno.EADDRNOTAVAIL,  # a free port of this machine, or an address to send from
        errno.EINTR,
    }
)  # fmt: skip


def judge(exc: OSError) -> Finding:
    """Return what an error of the connection to an instance, or of a datagram's, says of it.

    All that is not decided here otherwise is its own: ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, and
    ENOENT and EACCES of a unix socket.
    """
    if exc.errno in _TAKEN:
        return ALL_WELL
    why = os.strerror(exc.errno).lower() if exc.errno is not None else str(exc)
    if exc.errno in _SILENT:
        return Finding(Verdict.SILENT, "no answer")
    if exc.errno in _UNASKED:
        return Finding(Verdict.UNASKED, f"this site could not ask: {why}")
    return Finding(Verdict.FAILED, why)


@attrs.define(eq=False)
class Instance:
    """One process that serves an address, and the work that waits there for it."""

    connector: "Connector"
    place: Target
    condition: Condition = attrs.field()
    why: str = ""
    """What the last finding said against it; empty when it is well."""
    is_tried: bool = False
    """Whether a task is trying at present when it will be well again."""
    is_checked: bool = False
    """Whether a task is looking at it all the time."""
    backlog: Backlog = attrs.field(factory=Backlog)

    @condition.default
    def _condition_default(self) -> Condition:
        # Only a client's datagram would tell whether anybody takes datagrams there.
        is_udp = self.connector.config.protocol == "udp"
        return Condition.WELL if is_udp else Condition.UNKNOWN

    @property
    def is_usable(self) -> bool:
        """Tell whether flows may go to it."""
        return self.condition.is_usable

    @property
    def is_well(self) -> bool:
        """Tell whether nothing is known against it."""
        return self.condition is _WELL

    @property
    def is_slow(self) -> bool:
        """Tell whether it gets flows only where none that is well could have them."""
        return self.condition is _SLOW

    @property
    def is_new(self) -> bool:
        """Tell whether it has not been looked at."""
        return self.condition is Condition.UNKNOWN and not self.why

    def receive(self, finding: Finding) -> None:
        """Take what was found out of it."""
        self.condition = FOLLOWS[self.condition][finding.verdict]
        self.why = "" if self.condition is _WELL else finding.why

    def expected(self, more: float, now: float) -> float:
        """Return the delay in seconds to expect with so many more in flight, by its weight."""
        return self.backlog.expected(more, now) / self.connector.config.weight

    def occupancy(self, now: float) -> Occupancy:
        """Return what it is compared with others of the site by."""
        backlog = self.backlog
        return Occupancy(
            delay=backlog.expected(0.0, now),
            alone=backlog.curve.expected(0.0),
            flows=backlog.flows,
            waiting=backlog.waiting,
            weight=self.connector.config.weight,
            answers=backlog.curve.samples,
        )

    def load(self, now: float) -> Load:
        """Return what is told of it."""
        load = self.backlog.load(now)
        weight = self.connector.config.weight
        if weight == 1:
            return load
        return Load(
            load.in_flight, load.expected_delay / weight, load.expected_delay_deeper / weight
        )
