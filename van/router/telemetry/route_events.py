"""Records what routing decides: sites and addresses that came, went, or moved, and what it dropped.

In a large network one change may concern every site. Of each kind the first few are told one by
one, and the others as a number.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from van.router.telemetry.drops import DropTally
from van.router.telemetry.events import EventKind, EventLog
from van.routing.actions import AdvertisementDropped, CostChanged, LinkDamped, LinkReleased
from van.routing.paths.difference import (
    BestRoute,
    RouteChange,
    ServiceChange,
    route_changes,
    service_changes,
)
from van.routing.paths.fib import Fib
from van.routing.paths.service_index import ServiceKey

MAX_TOLD: Final = 5
"""Events of one kind that one new table may cause, before the rest is only counted."""

Change = TypeVar("Change")
_Item = tuple[str, str]
"""Subject and text of an event."""


class RouteEvents:
    """Turns the decisions of one site's routing engine into events."""

    def __init__(self, site: str, log: EventLog) -> None:
        self._site = site
        self._log = log
        self._drops = DropTally()

    def fib_changed(self, fib: Fib, previous: Fib) -> None:
        """Record how a new table differs from the last one."""
        _record_difference(self._log, fib, previous)

    def advertisement_dropped(self, drop: AdvertisementDropped) -> None:
        """Record an advertisement that was not believed, unless it is one of many alike."""
        text = self._drops.describe(drop)
        if text is not None:
            self._log.record(EventKind.ADVERTISEMENT_DROPPED, drop.neighbor, text)

    def link_judged(self, verdict: LinkDamped | LinkReleased | CostChanged) -> None:
        """Record what a link's past or its round trip means for its use."""
        match verdict:
            case LinkDamped(neighbor, seconds):
                text = f"it comes and goes: not used for {seconds:.0f} s, or longer if it goes on"
                self._log.record(EventKind.LINK_DAMPED, neighbor, text)
            case LinkReleased(neighbor):
                self._log.record(EventKind.LINK_RELEASED, neighbor, "it is used again")
            case CostChanged(neighbor, cost):
                text = f"{cost} now, by its round trip"
                self._log.record(EventKind.COST_CHANGED, neighbor, text)

    def neighbor_contested(self, neighbor: str, reason: str) -> None:
        """Record that two sites have one name."""
        self._log.record(EventKind.NAME_CONTESTED, neighbor, "the link is given up: " + reason)

    def incarnation_advanced(self, incarnation: int) -> None:
        """Record that the network knew this site by an incarnation that it had not reached."""
        text = f"{incarnation} now: the network knew this site by one as high, from before"
        self._log.record(EventKind.INCARNATION_ADVANCED, self._site, text)


def _record_difference(log: EventLog, fib: Fib, previous: Fib) -> None:
    changes = list(route_changes(previous, fib))
    reached = [each for each in changes if each.before is None]
    lost = [each for each in changes if each.after is None]
    moved = [each for each in changes if each.before is not None and each.after is not None]
    _record(log, EventKind.SITE_REACHED, reached, _reached)
    _record(log, EventKind.ROUTE_CHANGED, moved, _moved)
    _record(log, EventKind.SITE_LOST, lost, _lost)
    services = list(service_changes(previous, fib))
    served = [each for each in services if each.is_served]
    ceased = [each for each in services if not each.is_served]
    _record(log, EventKind.ADDRESS_SERVED, served, lambda change: _served(change, fib))
    _record(log, EventKind.ADDRESS_LOST, ceased, lambda change: _ceased(change, fib))


def _record(
    log: EventLog, kind: EventKind, changes: Sequence[Change], describe: Callable[[Change], _Item]
) -> None:
    # A summary of one would be no shorter than what it stands for.
    told = changes if len(changes) <= MAX_TOLD + 1 else changes[:MAX_TOLD]
    for change in told:
        log.record(kind, *describe(change))
    if len(told) < len(changes):
        log.record(kind, "", f"and {len(changes) - len(told)} more")


def _lost(change: RouteChange) -> _Item:
    return change.site, "no path leads to it"


def _reached(change: RouteChange) -> _Item:
    return change.site, _way(change.site, change.after)


def _moved(change: RouteChange) -> _Item:
    before, after = _way(change.site, change.before), _way(change.site, change.after)
    return change.site, f"{after}; before that, {before}"


def _way(site: str, way: BestRoute | None) -> str:
    if way is None:
        return "nowhere"
    by = "by its link" if way.next_hop == site else f"by {way.next_hop}"
    return f"{by}, cost {way.cost}"


def _served(change: ServiceChange, fib: Fib) -> _Item:
    return _name(change.service), f"at {change.site}{_others(change, fib)}"


def _ceased(change: ServiceChange, fib: Fib) -> _Item:
    rest = _others(change, fib) or ", and nowhere else"
    return _name(change.service), f"at {change.site} no more{rest}"


def _others(change: ServiceChange, fib: Fib) -> str:
    """Say how many other sites serve an address now."""
    others = [site for site in fib.services.get(change.service, ()) if site != change.site]
    if not others:
        return ""
    return f", and at {others[0]}" if len(others) == 1 else f", and at {len(others)} other sites"


def _name(service: ServiceKey) -> str:
    return " ".join(service)
