"""The links of a site as the control API shows them."""

import math
import time
from collections.abc import Callable

from van.control.values.links import LinkStatus
from van.router.links.dialer import Dialer
from van.router.links.link import Link
from van.router.links.links import Links
from van.router.links.routes import Routes
from van.routing.adjacency.neighbor import NeighborStatus
from van.wire.fields import AUTO_COST


def link_statuses(
    links: Links, routes: Routes, ready_channels: Callable[[str], int]
) -> tuple[LinkStatus, ...]:
    """Return the links that are up and then those that are dialled; `ready_channels` tells how many
    idle ones there are to a neighbour."""
    neighbors = {each.neighbor: each for each in routes.neighbors()}
    now = time.monotonic()
    up = [
        _link_up(link, neighbors.get(name), ready_channels(name), now)
        for name, link in sorted(links.up.items())
    ]
    down = [
        _link_down(name, dialer)
        for name, dialer in sorted(links.dialers.items())
        if name not in links.up
    ]
    return (*up, *down)


def _link_up(link: Link, neighbor: NeighborStatus | None, channels: int, now: float) -> LinkStatus:
    round_trip = neighbor.round_trip if neighbor else None
    damped_until = neighbor.damped_until if neighbor else None
    return LinkStatus(
        neighbor=link.neighbor,
        direction="outgoing" if link.is_outgoing else "incoming",
        state="up" if damped_until is None else "damped",
        cost=neighbor.cost if neighbor else link.cost,
        is_auto_cost=link.cost == AUTO_COST,
        hold_time=neighbor.hold_time if neighbor else None,
        round_trip_ms=None if round_trip is None else round_trip * 1000,
        proof_age=now - neighbor.last_heard if neighbor else None,
        up_for=now - link.opened_at,
        remote=str(link.remote),
        channels=channels,
        detail="" if damped_until is None else _describe_damping(damped_until - now),
        clock_offset=link.clock_offset,
    )


def _describe_damping(left: float) -> str:
    return f"it comes and goes: not used for another {max(1, math.ceil(left))} s"


def _link_down(neighbor: str, dialer: Dialer) -> LinkStatus:
    return LinkStatus(
        neighbor=neighbor,
        direction="outgoing",
        state="connecting" if dialer.is_connecting else "down",
        cost=dialer.config.cost,
        is_auto_cost=dialer.config.cost == AUTO_COST,
        hold_time=None,
        round_trip_ms=None,
        proof_age=None,
        up_for=None,
        remote=", ".join(map(str, dialer.config.addresses)),
        channels=0,
        detail=dialer.detail,
    )
