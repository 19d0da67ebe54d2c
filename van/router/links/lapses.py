"""Ends what is open with sites whose certificates have run out: that they are members is no fact of
the handshake, but one that holds from moment to moment.

A site that has renewed its certificate meanwhile shows the new one in what it advertises; its links
and channels go on.
"""

from typing import Final

import trio

from van.router.links.routes import Routes
from van.router.links.table import LinkTable
from van.router.site.trust import Trust
from van.router.subscription import Subscribers
from van.tls.identity import SiteIdentity

LOOK_INTERVAL: Final = 5.0
"""Seconds between two looks at the wall clock, which certificates go by: it is set, and goes on
while the machine sleeps, and no timer hears of that."""


class Lapses:
    """Looks at the clock, in trio's thread; links are ended here, the rest by who is told."""

    def __init__(self, trust: Trust, table: LinkTable, routes: Routes) -> None:
        self.looked: Subscribers[[]] = Subscribers()
        """Told at each look, once links are dealt with."""
        self._trust = trust
        self._table = table
        self._routes = routes

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await trio.sleep(LOOK_INTERVAL)
            self.look()

    def look(self) -> None:
        """End what has to be ended now."""
        for link in list(self._table.up.values()):
            if self.has_lapsed(link.origin.identity):
                link.close(
                    f"the certificate of site {link.neighbor!r} expired by the clock of site "
                    f"{self._trust.site!r}"
                )
        self.looked.tell()

    def has_lapsed(self, peer: SiteIdentity) -> bool:
        """Tell whether neither the certificate that a site showed is valid, nor a later one."""
        now = self._trust.clock()
        if peer.not_after >= now:
            return False
        latest = self._routes.identity_of(peer.site)
        return (
            latest is None
            or latest.public_key_fingerprint != peer.public_key_fingerprint
            or latest.not_after < now
        )
