"""What this site does for others: whether they may send through it, and whether it serves them."""

from van.router.links.routes import Routes
from van.router.site.settings import Settings
from van.router.subscription import Subscribers
from van.router.telemetry.events import EventKind, EventLog
from van.routing.paths.detachment import sites_cut_off
from van.routing.paths.service_index import ServiceKey


class Transit:
    """Drains the site, and takes it back into service; what is under way goes on."""

    def __init__(self, settings: Settings, routes: Routes, event_log: EventLog) -> None:
        self.serving_changed: Subscribers[[]] = Subscribers()
        """Told when what this site serves is given away, or taken back."""
        self._settings = settings
        self._routes = routes
        self._event_log = event_log

    @property
    def is_declined(self) -> bool:
        """Tell whether the configuration lets nothing through, ever."""
        return not self._settings.config.transit

    @property
    def is_drained(self) -> bool:
        """Tell whether the site is drained."""
        return self._settings.config.drained

    @property
    def is_serving(self) -> bool:
        """Tell whether new flows to what this site serves may come here."""
        return not self._settings.config.withdrawn

    def status(self) -> str:
        """Return how it stands, as the control API shows it."""
        return "declined" if self.is_declined else "drained" if self.is_drained else "yes"

    def announce(self) -> None:
        """Tell the network how it stands."""
        self._routes.set_transit(is_transit=not self.is_declined and not self.is_drained)

    def set_drained(self, *, is_drained: bool, serves: bool = True) -> None:
        """Drain the site, or take it back, and tell the network; raise `StorageError`.

        Unless it still `serves`, what it serves is given away too.
        """
        was_drained, was_serving = self.is_drained, self.is_serving
        self._settings.set_drained(is_drained=is_drained, is_withdrawn=not serves)
        self.announce()
        if serves is not was_serving:
            self.serving_changed.tell()
        if (is_drained, serves) != (was_drained, was_serving):
            text = "in service again"
            if is_drained:
                text = "drained: nothing is sent through it"
            if not serves:
                text += ", and what it serves is given away"
            self._event_log.record(EventKind.TRANSIT_CHANGED, self._routes.fib.site, text)

    def needed_by(self) -> list[str]:
        """Return the sites that can't reach all others without this one."""
        fib = self._routes.fib
        return sites_cut_off(fib.graph(), fib.site)

    def served_here_only(self) -> list[ServiceKey]:
        """Return the addresses that no other site serves that can be reached."""
        fib = self._routes.fib
        return sorted(key for key, sites in fib.services.items() if set(sites) == {fib.site})
