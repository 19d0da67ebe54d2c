"""Tells the network what this site serves, and what can be reached from it."""

import logging

from van.errors import LocalError
from van.router.egress.targets import Targets
from van.router.ingress.ingress import Ingress
from van.router.links.routes import Routes

logger = logging.getLogger(__name__)


class Advertising:
    """Advertises both sides of this site together; in trio's thread."""

    def __init__(self, routes: Routes, targets: Targets, ingress: Ingress) -> None:
        self._routes = routes
        self._targets = targets
        self._ingress = ingress

    def advertise(self) -> None:
        """Tell the network how it is now; raise `LocalError` if there is too much to tell."""
        self._routes.set_addresses(self._targets.services(), self._ingress.bindings())

    def targets_changed(self) -> None:
        """Tell the network, though nobody asked for the change who could be told that it fails."""
        try:
            self.advertise()
        except LocalError as exc:
            # It is one address too many, which was not told of while its target was away.
            logger.warning("what this site serves is not advertised: %s", exc)
