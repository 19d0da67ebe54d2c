"""How flows ended."""

from typing import Final

from van.control.values.base import Value

MAX_ENDINGS: Final = 100
"""Flows that are kept of those that were refused or reset, and as many of those that finished."""


class FlowEnding(Value, frozen=True):
    """A flow that began or ended here, and has ended."""

    id: str
    """The same at both of its ends."""
    at: str
    """When it ended, in UTC: `2026-03-01T12:00:00.000Z`."""
    ending: str
    """`refused` (no target took it), `reset` (a program, or the path, broke it off), or
    `finished`."""
    detail: str
    """Why, for people."""
    role: str
    """`ingress`, `egress`, or `local` when both are this site."""
    protocol: str
    """`tcp`, `udp`, or `http`."""
    address: str
    """`name:port`."""
    peer_site: str
    """The site at the other end, or the last one that it was offered to; empty if to none."""
    local: str
    """The client's `host:port` at the ingress, the target's at the egress."""
    lasted: float
    """Seconds."""
    bytes_in: int
    """Bytes toward the target."""
    bytes_out: int
    """Bytes from the target."""
