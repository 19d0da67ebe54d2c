"""Ends what is open with sites whose certificates have run out: that they are members is no fact of
the handshake, but one that holds from moment to moment.

There is one alarm for each site that has shown a certificate, at the end of the one that is valid
longest. A site that has renewed its certificate meanwhile shows the new one in what it advertises;
its links and channels go on.
"""

from van.router.links.routes import Routes
from van.router.links.table import LinkTable
from van.router.site.alarms import WallAlarms
from van.router.site.trust import Trust
from van.router.subscription import Subscribers
from van.tls.identity import SiteIdentity


class Lapses:
    """Watches the sites that anything is open with; in trio's thread.

    Links are ended here, the rest by who is told.
    """

    def __init__(self, trust: Trust, table: LinkTable, routes: Routes, alarms: WallAlarms) -> None:
        self.lapsed: Subscribers[[str]] = Subscribers()
        """Told the fingerprint of a site's key, once its link has been dealt with."""
        self._trust = trust
        self._table = table
        self._routes = routes
        self._alarms = alarms
        self._shown: dict[str, SiteIdentity] = {}
        """By the key of a site, the certificate that is valid longest of those it has shown."""

    def watch(self, peer: SiteIdentity) -> None:
        """Take note of a certificate that a site has shown on a link or a channel."""
        key = peer.public_key_fingerprint
        known = self._shown.get(key)
        if known is None or known.not_after < peer.not_after:
            self._shown[key] = peer
            self._alarms.set(_alarm(key), peer.not_after, lambda: self._look(peer.site, key))

    def judge_roots(self) -> None:
        """End what is open with sites whose certificates rest on a root that was put out, unless
        they advertise one that does not; what they advertise by such a one is dropped by then."""
        for key, shown in list(self._shown.items()):
            if self._trust.is_replaced(shown.roots):
                self._look(shown.site, key)

    def _look(self, site: str, key: str) -> None:
        """End what is open with a site, unless it advertises a certificate that is valid now."""
        latest = self._routes.identity_of(site)
        del self._shown[key]
        if (
            latest is not None
            and latest.public_key_fingerprint == key
            and latest.not_after >= self._trust.clock()
        ):
            self.watch(latest)
            return
        link = self._table.up.get(site)
        if link is not None and link.origin.key_id == key:
            link.close(
                f"the certificate of site {site!r} expired by the clock of site "
                f"{self._trust.site!r}, or rests on a root that was replaced"
            )
        self.lapsed.tell(key)


def _alarm(key: str) -> str:
    return f"end of certificate {key}"
