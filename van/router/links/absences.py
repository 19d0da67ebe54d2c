"""Since when sites of the network can't be reached from here."""

from collections.abc import Callable

from van.router.links.routes import Routes
from van.routing.paths.fib import Fib


class Absences:
    """Counts from when a site was lost, or from the first question about one that never was there
    since this router started; in trio's thread."""

    def __init__(self, routes: Routes, clock: Callable[[], float]) -> None:
        """The clock is a monotonic one, in seconds."""
        self._routes = routes
        self._clock = clock
        self._since: dict[str, float] = {}
        routes.fib_changed.subscribe(self._fib_changed)

    def lasts(self, site: str) -> float:
        """Return for how many seconds a site has been away, 0 if it is there."""
        if site in self._routes.fib.routes:
            return 0.0
        now = self._clock()
        return now - self._since.setdefault(site, now)

    def _fib_changed(self, fib: Fib, previous: Fib) -> None:
        now, known = self._clock(), self._routes.identities()
        lost = previous.routes.keys() - fib.routes.keys()
        since = self._since | dict.fromkeys(lost, now)
        self._since = {k: at for k, at in since.items() if k not in fib.routes and k in known}
