"""Whether others may send through this site: never by configuration, or not while it is drained."""

from van.router.links.routes import Routes
from van.router.site.settings import Settings
from van.router.telemetry.events import EventKind, EventLog
from van.routing.paths.detachment import sites_cut_off


class Transit:
    """Drains the site, and takes it back into service; what is under way goes on."""

    def __init__(self, settings: Settings, routes: Routes, event_log: EventLog) -> None:
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

    def status(self) -> str:
        """Return how it stands, as the control API shows it."""
        return "declined" if self.is_declined else "drained" if self.is_drained else "yes"

    def announce(self) -> None:
        """Tell the network how it stands."""
        self._routes.set_transit(is_transit=not self.is_declined and not self.is_drained)

    def set_drained(self, *, is_drained: bool) -> None:
        """Drain the site, or take it back, and tell the network; raise `StorageError`."""
        self._settings.set_drained(is_drained=is_drained)
        self.announce()
        text = "drained: nothing is sent through it" if is_drained else "in service again"
        self._event_log.record(EventKind.TRANSIT_CHANGED, self._routes.fib.site, text)

    def needed_by(self) -> list[str]:
        """Return the sites that can't reach all others without this one."""
        fib = self._routes.fib
        return sites_cut_off(fib.graph(), fib.site)
