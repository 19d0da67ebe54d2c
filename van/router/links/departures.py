"""Sites that say goodbye for good: their names are free from then on.

Who hears of it forgets whose the name was. For those that are away, the authority that has let the
site in gives its key up, in a statement that they hear of when they are back. No other one does:
else whoever may invite could have the others sign without end, for sites that it makes up.
"""

import logging

from van.errors import VanError
from van.router.links.names import Holder, Names
from van.router.links.pinning import Pinning
from van.router.site.trust import Trust
from van.router.telemetry.events import EventKind, EventLog
from van.tls.identity import IssuingAuthority
from van.tls.keys import fingerprint

logger = logging.getLogger(__name__)


class Departures:
    """Takes note of them, in trio's thread."""

    def __init__(self, trust: Trust, names: Names, pinning: Pinning, event_log: EventLog) -> None:
        self._trust = trust
        self._names = names
        self._pinning = pinning
        self._event_log = event_log

    def site_left(self, site: str, key: str) -> None:
        """Free the name of a site whose key has this fingerprint."""
        text = "it has said goodbye for good: its name is free"
        self._event_log.record(EventKind.SITE_LEFT, site, text)
        pin = self._trust.pins.holder(site)
        if pin is None or pin.key != key:
            return  # it is ephemeral, so that nobody keeps the name for it
        self._pinning.release(site, key)
        if not self._has_let_in(pin.authorities):
            return
        try:
            self._names.free((self._names.forgetting(Holder(site, key, pin.authorities)),))
        except VanError as exc:
            logger.warning("that the name of site %r is free is not told to all: %s", site, exc)

    def _has_let_in(self, above: tuple[IssuingAuthority, ...]) -> bool:
        """Tell whether a certificate that rests on these authorities is of this site's own."""
        authority = self._trust.credentials.authority
        if authority is None:
            return False
        if not above:
            return authority.is_root
        return above[0].key == fingerprint(authority.key.public_key())
