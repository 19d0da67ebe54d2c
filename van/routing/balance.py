"""Which instance of an address gets a new flow: the nearest and least loaded as seen from here."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from van.routing.rng import Rng
from van.routing.service_index import ServiceKey


class Outstanding:
    """Counts the flows that this ingress has under way, by address and egress site."""

    def __init__(self) -> None:
        self._flows: dict[ServiceKey, dict[str, int]] = {}

    def add(self, service: ServiceKey, site: str) -> None:
        """Count a flow that starts; each call is paired with one of `remove`."""
        flows = self._flows.setdefault(service, {})
        flows[site] = flows.get(site, 0) + 1

    def remove(self, service: ServiceKey, site: str) -> None:
        """Discount a flow that ended or was refused; raise `KeyError` if none was counted."""
        flows = self._flows[service]
        if flows[site] > 1:
            flows[site] -= 1
            return
        del flows[site]
        if not flows:
            del self._flows[service]

    def at(self, service: ServiceKey) -> Mapping[str, int]:
        """Return the flows under way to an address, by site; a live, read-only view."""
        return MappingProxyType(self._flows.get(service, {}))


def rank(
    candidates: Iterable[str],
    *,
    costs: Mapping[str, int],
    outstanding: Mapping[str, int],
    rng: Rng,
) -> list[str]:
    """Return the candidates that have a cost, best first.

    One flow under way weighs as much as one unit of path cost, so that a busy site loses to one
    that is a little further; our own site, at cost 0, comes first as long as it is no busier.
    Ties are broken at random, so that ingress sites do not all agree on the same instance.
    """
    scored = [
        (costs[site] + outstanding.get(site, 0), rng.random(), site)
        for site in candidates
        if site in costs
    ]
    return [site for _, _, site in sorted(scored)]
