"""Drains a site before maintenance, and takes it back into service after."""

from typing import Final

import attrs

from van.control.values.base import Created
from van.router.router import Router
from van.router.telemetry.events import EventKind
from van.routing.paths.detachment import sites_cut_off

MAX_NAMED: Final = 5
"""Sites that a warning names one by one."""


class Maintenance:
    """Carries out the requests that let a site pass traffic on, or not."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def drain(self) -> Created:
        """Send nothing through this site any more; what is under way goes on."""
        config = self._router.settings.config
        if not config.transit:
            return Created(state="no transit", detail="this site declines transit for good")
        if config.drained:
            return Created(state="drained", detail="it was already")
        cut_off = sites_cut_off(self._router.routes.fib.graph(), self._router.trust.site)
        self._set_drained(is_drained=True)
        return Created(state="drained", detail=_warning(cut_off))

    async def undrain(self) -> Created:
        """Let others send through this site again."""
        config = self._router.settings.config
        if not config.transit:
            return Created(state="no transit", detail="this site declines transit for good")
        if not config.drained:
            return Created(state="in service", detail="it was already")
        self._set_drained(is_drained=False)
        return Created(state="in service", detail="")

    def _set_drained(self, *, is_drained: bool) -> None:
        self._router.settings.change(lambda old: attrs.evolve(old, drained=is_drained))
        self._router.set_transit()
        text = "drained: nothing is sent through it" if is_drained else "in service again"
        self._router.events.record(EventKind.TRANSIT_CHANGED, self._router.trust.site, text)


def _warning(cut_off: list[str]) -> str:
    if not cut_off:
        return ""
    named = ", ".join(cut_off[:MAX_NAMED])
    more = f" and {len(cut_off) - MAX_NAMED} more" if len(cut_off) > MAX_NAMED else ""
    return f"{named}{more} can't reach all others without this site"
