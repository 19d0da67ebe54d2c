"""Tells the network what this site serves, and what can be reached from it."""

import logging

from van.errors import LocalError
from van.router.egress.targets import Targets
from van.router.ingress.ingress import Ingress
from van.router.links.routes import Routes
from van.router.site.settings import Settings

logger = logging.getLogger(__name__)


class Advertising:
    """Advertises both sides of this site together; in trio's thread."""

    def __init__(
        self, routes: Routes, targets: Targets, ingress: Ingress, settings: Settings
    ) -> None:
        self._routes = routes
        self._settings = settings
        self._targets = targets
        self._ingress = ingress

    def advertise(self) -> None:
        """Tell the network how it is now; raise `LocalError` if there is too much to tell.

        While the site is withdrawn, others are left what it serves. A flow that comes nonetheless
        is served, for the news may not have reached everybody.
        """
        is_withdrawn = self._settings.config.withdrawn
        services = set() if is_withdrawn else self._targets.services()
        self._routes.set_addresses(services, self._ingress.bindings())

    def targets_changed(self) -> None:
        """Tell the network, though nobody asked for the change who could be told that it fails."""
        try:
            self.advertise()
        except LocalError as exc:
            # It is one address too many, which was not told of while its target was away.
            logger.warning("what this site serves is not advertised: %s", exc)
