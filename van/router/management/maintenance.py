"""The requests that take a site out of the way of others before maintenance, and back after."""

from typing import Final

from van.control.values.base import Created
from van.router.links.transit import Transit

MAX_NAMED: Final = 5
"""Sites that a warning names one by one."""
DECLINED: Final = Created(state="no transit", detail="this site declines transit for good")


class Maintenance:
    """Has the site drained, and says who can't do without it."""

    def __init__(self, transit: Transit) -> None:
        self._transit = transit

    async def drain(self) -> Created:
        """Send nothing through this site any more; what is under way goes on."""
        if self._transit.is_declined:
            return DECLINED
        if self._transit.is_drained:
            return Created(state="drained", detail="it was already")
        needed_by = self._transit.needed_by()
        self._transit.set_drained(is_drained=True)
        return Created(state="drained", detail=_warning(needed_by))

    async def undrain(self) -> Created:
        """Let others send through this site again."""
        if self._transit.is_declined:
            return DECLINED
        if not self._transit.is_drained:
            return Created(state="in service", detail="it was already")
        self._transit.set_drained(is_drained=False)
        return Created(state="in service", detail="")


def _warning(needed_by: list[str]) -> str:
    if not needed_by:
        return ""
    named = ", ".join(needed_by[:MAX_NAMED])
    more = f" and {len(needed_by) - MAX_NAMED} more" if len(needed_by) > MAX_NAMED else ""
    return f"{named}{more} can't reach all others without this site"
