"""The requests about links."""

from collections.abc import Callable

from van.config import DEFAULT_HOLD
from van.control.values.base import Cost, Created
from van.control.values.links import LinkAccept, LinkAccepted, LinkCost, LinkHold
from van.router.links.links import Links
from van.router.links.membership import Membership
from van.wire.fields import AUTO_COST


class LinkRequests:
    """Reads what is asked about links, and has it done."""

    def __init__(
        self,
        site: str,
        links: Links,
        membership: Membership,
        flows_over: Callable[[str], int],
    ) -> None:
        """`flows_over` tells how many live flows go over the link to a neighbour."""
        self._site = site
        self._flows_over = flows_over
        self._links = links
        self._membership = membership

    async def accept(self, spec: LinkAccept) -> LinkAccepted:
        """Join the token's VAN, or, as a member of it, gain a link."""
        cost = None if spec.cost is None else read_cost(spec.cost)
        hold = DEFAULT_HOLD if spec.hold is None else spec.hold
        return await self._membership.accept(spec.token, cost=cost, hold=hold)

    async def delete(self, neighbor: str) -> Created:
        """Give up a link, at both of its ends."""
        flows = self._flows_over(neighbor)
        self._links.delete(neighbor, f"deleted at site {self._site!r}")
        ended = "1 live flow" if flows == 1 else f"{flows} live flows"
        return Created(state="deleted", detail=f"which ends {ended} over it" if flows else "")

    async def set_cost(self, neighbor: str, spec: LinkCost) -> Created:
        """Set the cost of a link, at both of its ends."""
        self._links.terms.set_cost(neighbor, read_cost(spec.cost))
        return Created(state="changed", detail=f"cost {spec.cost}")

    async def set_hold(self, neighbor: str, spec: LinkHold) -> Created:
        """Set how long a link may be silent, at both of its ends."""
        self._links.terms.set_hold_time(neighbor, spec.hold)
        return Created(state="changed", detail=f"lost after {spec.hold:g} s of silence")


def read_cost(cost: Cost) -> int:
    """Return a cost as links have it."""
    return AUTO_COST if isinstance(cost, str) else cost
