"""Two sites of one name: the one with the better claim keeps it while it is there.

What comes of that for an advertisement is decided in `van.routing.database.admission`; here it is
what comes of it for a neighbour.
"""

from collections.abc import Iterator
from typing import Final

from van.errors import LocalError
from van.routing.actions import NeighborContested
from van.routing.adjacency.neighborhood import Neighborhood
from van.routing.database.keyring import Origin, outranks
from van.routing.database.lsdb import Lsdb
from van.routing.engine.route_computation import Forwarding
from van.wire.lsa import LsaKind

SETTLING: Final = 3.0
"""Seconds for which a site that has just got a name from another one may count as there, though no
path leads to it yet: until its adjacencies have come, and routes have been computed with them."""


class Contest:
    """Judges neighbours by who the network knows by their names."""

    def __init__(self, lsdb: Lsdb, forwarding: Forwarding, neighborhood: Neighborhood) -> None:
        self._lsdb = lsdb
        self._forwarding = forwarding
        self._neighborhood = neighborhood
        self._settling: dict[str, float] = {}
        """Until when."""

    def changed_hands(self, name: str, *, now: float) -> None:
        """Take note that another site than before is held under a name."""
        self._settling = {each: until for each, until in self._settling.items() if now < until}
        self._settling[name] = now + SETTLING

    def is_present(self, name: str, *, now: float) -> bool:
        """Tell whether the site that is held under a name is there: reached, or our neighbour.

        A neighbour counts before others have heard of it. If two sites of one name come at one
        time, each would else be taken for gone while the other one's news travels, in turn.
        """
        if self._lsdb.has_left(name):
            return False
        if now < self._settling.get(name, now):
            has_come = self._lsdb.get((name, LsaKind.ADJACENCIES)) is not None
            if not has_come or self._forwarding.has_routes_to_compute:
                return True
        neighbor, held = self._neighborhood.get(name), self._lsdb.origin(name)
        return name in self._forwarding.fib.routes or (
            neighbor is not None
            and neighbor.origin is not None
            and held is not None
            and neighbor.origin.key_id == held.key_id
        )

    def check(self, name: str, origin: Origin | None, *, now: float) -> None:
        """Raise `LocalError` if a new neighbour's name belongs to another site.

        That is one with a better claim which is there. While it isn't, or if its claim is the
        lesser one, the neighbour may take its place, once its identity has come.
        """
        known = self._lsdb.origin(name)
        if (
            known is not None
            and origin is not None
            and outranks(known, origin)
            and self.is_present(name, now=now)
        ):
            raise LocalError(
                f"site name {name!r} is taken by another site of this VAN: "
                "set this one up anew under another name"
            )

    def review(self, name: str) -> Iterator[NeighborContested]:
        """Give up a neighbour that lost its name to another site."""
        neighbor, held = self._neighborhood.get(name), self._lsdb.origin(name)
        if neighbor is not None and neighbor.contest(held):
            yield NeighborContested(name)
