"""Which of the sites that serve an address let this one in, as they say and as the VAN does.

It is asked again for every flow, and worked out when the network says something else. The egress
looks for itself, whatever is believed here.
"""

from typing import TYPE_CHECKING

from van.router.links.routes import Routes
from van.router.site.access import Access
from van.routing.paths.service_index import ServiceKey
from van.wire.lsa import Service

if TYPE_CHECKING:
    from van.routing.paths.fib import Fib


class Reach:
    """Looks at what sites advertise; `changed` is to be called when it is this site that is
    another, by its tags, or what the VAN allows."""

    def __init__(self, routes: Routes, access: Access) -> None:
        self._routes = routes
        self._access = access
        self._fib: Fib | None = None
        """The table that the rest is of."""
        self._found: dict[ServiceKey, tuple[tuple[str, ...], tuple[Service, ...]]] = {}

    def changed(self) -> None:
        """Work everything out anew."""
        self._found.clear()

    def sites(self, service: ServiceKey) -> tuple[str, ...]:
        """Return the sites that can be reached and let this one in, sorted."""
        return self._of(service)[0]

    def terms(self, service: ServiceKey) -> tuple[Service, ...]:
        """Return what each of them says of the address, in the same order."""
        return self._of(service)[1]

    def refusals(self, service: ServiceKey) -> dict[str, str]:
        """Return the sites that serve an address and do not let this one in, and why."""
        fib, let_in = self._routes.fib, self.sites(service)
        pairs = zip(fib.services.get(service, ()), fib.terms.get(service, ()), strict=True)
        return {site: self._why_not(site, each) for site, each in pairs if site not in let_in}

    def why_not(self, service: ServiceKey) -> str:
        """Say why no site lets this one in; nothing if none serves the address, or one does."""
        refusals = self.refusals(service)
        if not refusals or self.sites(service):
            return ""
        reasons = dict.fromkeys(refusals.values())
        return "; ".join(
            f"{', '.join(each for each, why in refusals.items() if why == reason)}: {reason}"
            for reason in reasons
        )

    def _of(self, service: ServiceKey) -> tuple[tuple[str, ...], tuple[Service, ...]]:
        fib = self._routes.fib
        if fib is not self._fib:
            self._fib = fib
            self._found.clear()
        found = self._found.get(service)
        if found is None:
            sites, terms = fib.services.get(service, ()), fib.terms.get(service, ())
            pairs = [
                (site, each)
                for site, each in zip(sites, terms, strict=True)
                if not self._why_not(site, each)
            ]
            found = tuple(site for site, _ in pairs), tuple(each for _, each in pairs)
            self._found[service] = found
        return found

    def _why_not(self, site: str, terms: Service) -> str:
        if site == self._routes.fib.site:  # its programs need no router to get there
            return ""
        return self._access.why_not_here(
            terms.address, terms.allow_from, is_limited=terms.is_limited
        )
