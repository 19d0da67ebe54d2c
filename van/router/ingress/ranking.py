"""Ranks the sites that serve an address: where a flow that begins now is to go, and why."""

import random
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import attrs

from van.balancing.balancer import Balancer
from van.balancing.estimate import Candidate
from van.balancing.explanation import Explanation
from van.router.ingress.reach import Reach
from van.router.links.routes import Routes
from van.routing.paths.service_index import ServiceKey
from van.wire.lsa import Distribution

if TYPE_CHECKING:
    from van.routing.paths.fib import Fib


@attrs.frozen
class Choices:
    """Who serves an address, as things are now."""

    service: ServiceKey
    candidates: list[Candidate]
    """The sites that can be reached, and let this one in."""
    distribution: Distribution


class Ranking:
    """Knows the candidates of each address, and what the balancer makes of them."""

    def __init__(self, routes: Routes, reach: Reach, clock: Callable[[], float]) -> None:
        self.balancer = Balancer(random.Random())
        """Knows the flows under way from this ingress, and what came of others."""
        self._routes = routes
        self.reach = reach
        """Knows which sites let this one in."""
        self._clock = clock
        self._fib: Fib | None = None
        """The table that the choices are of."""
        self._choices: dict[ServiceKey, Choices] = {}

    def routes_changed(self) -> None:
        """Forget what is known of addresses that are gone."""
        self._choices.clear()
        self.balancer.forget_all_but(self._routes.fib.services)

    def best(self, choices: Choices, *, without: Collection[str] = ()) -> Candidate | None:
        """Return the first of the ranking."""
        candidates = choices.candidates
        if len(candidates) == 1 and not without:
            return candidates[0]
        sites = self._rank(choices, without)
        return next((each for each in candidates if each.site == sites[0]), None) if sites else None

    def sites(self, service: ServiceKey) -> list[str]:
        """Return the sites to which a flow that begins now is offered, one after the other."""
        return self._rank(self.choices(service), ())

    def _rank(self, choices: Choices, without: Collection[str]) -> list[str]:
        service, candidates = choices.service, choices.candidates
        if without:
            candidates = [each for each in candidates if each.site not in without]
        if len(candidates) < 2:  # nothing to choose from
            return [each.site for each in candidates]
        if choices.distribution is Distribution.CLOSEST:
            return self.balancer.rank_closest(service, candidates, self._clock())
        return self.balancer.rank(service, candidates, self._clock())

    def explain(self, service: ServiceKey) -> list[Explanation]:
        """Return what the ranking is made of, in its order."""
        choices = self.choices(service)
        distribution = choices.distribution
        found = self.balancer.explain(
            service,
            choices.candidates,
            self._clock(),
            is_closest=distribution is not Distribution.BALANCED,
        )
        if distribution is Distribution.MULTICAST:
            found = [attrs.evolve(each, reason="gets a copy") for each in found]
        return found

    def candidates(self, service: ServiceKey) -> list[Candidate]:
        """Return the sites that serve an address, can be reached, and let this one in."""
        return self.choices(service).candidates

    def choices(self, service: ServiceKey) -> Choices:
        """Return who serves an address; another object when that is otherwise."""
        fib = self._routes.fib
        if fib is not self._fib:
            self._fib = fib
            self._choices.clear()
        found = self._choices.get(service)
        if found is None:
            sites, terms = self.reach.sites(service), self.reach.terms(service)
            candidates = [
                Candidate(
                    site,
                    fib.round_trip(site),
                    each.weight,
                    each.precedence,
                    fib.routes[site].cost,
                )
                for site, each in zip(sites, terms, strict=True)
            ]
            found = Choices(service, candidates, fib.distribution(service))
            self._choices[service] = found
            self.balancer.forget(service, sites)
        return found
