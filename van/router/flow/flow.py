"""One flow that lives at this site: what it is, how it stands, and what moves its bytes."""

from typing import TYPE_CHECKING, Protocol

import attrs

from van.control.values.status import FlowStatus
from van.router.channels.channel import Channel
from van.router.flow.outcome import Ending
from van.router.flow.stream import FlowStream

if TYPE_CHECKING:
    from van.tls.identity import SiteIdentity


class Carrying(Protocol):
    """What moves the bytes of a flow."""

    def meter(self) -> tuple[int, int]:
        """Return how many bytes went toward the target, and how many came from it."""

    def abort(self, detail: str, /) -> None:
        """Break the flow off at both ends, unless it has ended."""


@attrs.define(eq=False)
class Flow:
    """One live flow as this site sees it."""

    id: str
    role: str
    protocol: str
    address: str
    peer_site: str
    local: str
    opened_at: float
    client: str = ""
    """Where the client's connection comes from, as the ingress says; empty if it does not."""
    source: "SiteIdentity | None" = None
    """Who the ingress has proved to be, at the egress; None for this site itself."""
    carrying: Carrying | None = attrs.field(default=None, init=False)
    """None while an instance is looked for; set by `carried_by`."""
    share: float = 1.0
    """How much of a piece of work it counts for at its instance, at the egress."""
    passed: int = 0
    """Bytes that had passed when that was looked at last."""
    is_opened: bool = False
    """Whether a target, or for a multicast address any, has taken it."""
    ending: Ending = Ending.FINISHED
    """How it has ended, once it has."""
    detail: str = ""
    """Why, if it was not in order."""

    def carried_by(self, carrying: Carrying | None) -> None:
        """Have something else move the bytes, which counts them from 0."""
        self.carrying = carrying
        self.passed = 0

    @property
    def is_bulk(self) -> bool:
        """Tell whether it has moved to a channel of its own."""
        return isinstance(self.carrying, FlowStream) and isinstance(self.carrying.channel, Channel)

    def status(self, now: float) -> FlowStatus:
        """Return the flow as the control API shows it."""
        bytes_in, bytes_out = self.carrying.meter() if self.carrying else (0, 0)
        return FlowStatus(
            id=self.id,
            role=self.role,
            protocol=self.protocol,
            address=self.address,
            peer_site=self.peer_site,
            local=self.local,
            age=now - self.opened_at,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            is_bulk=self.is_bulk,
        )
