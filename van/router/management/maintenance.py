"""The requests that take a site out of the way of others before maintenance, and back after."""

from typing import Final

from van.control.values.base import Created
from van.control.values.maintenance import DrainSpec
from van.router.links.transit import Transit
from van.routing.paths.service_index import ServiceKey

MAX_NAMED: Final = 5
"""Sites, or addresses, that a warning names one by one."""
DECLINED: Final = Created(state="no transit", detail="this site declines transit for good")


class Maintenance:
    """Has the site drained, and says who can't do without it."""

    def __init__(self, transit: Transit) -> None:
        self._transit = transit

    async def drain(self, spec: DrainSpec) -> Created:
        """Send nothing through this site any more, and nothing to it if that is asked for too; what
        is under way goes on."""
        transit = self._transit
        if transit.is_declined and not spec.serve:
            return DECLINED
        serves = transit.is_serving and not spec.serve
        if transit.is_drained and serves is transit.is_serving:
            return Created(state="drained", detail="it was already")
        details = []
        if not transit.is_drained and not transit.is_declined:
            details.append(_needed(transit.needed_by()))
        if not serves:
            details.append(_missed(transit.served_here_only()))
        transit.set_drained(is_drained=True, serves=serves)
        return Created(state="drained", detail="; ".join(each for each in details if each))

    async def undrain(self) -> Created:
        """Let others send through this site again."""
        if self._transit.is_declined and not self._transit.is_drained:
            return DECLINED
        if not self._transit.is_drained:
            return Created(state="in service", detail="it was already")
        self._transit.set_drained(is_drained=False)
        return Created(state="in service", detail="")


def _needed(sites: list[str]) -> str:
    return f"{_some(sites)} can't reach all others without this site" if sites else ""


def _missed(services: list[ServiceKey]) -> str:
    if not services:
        return ""
    named = _some([f"{protocol} {address}" for protocol, address in services])
    return f"{named}: served nowhere else, so that new flows are refused until 'van site undrain'"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
