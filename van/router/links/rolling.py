"""Replacing the root under a running VAN.

The old root makes a new one its successor, by a certificate that is part of every chain from then
on: whoever trusts the old root believes what the new one issues, and whoever sees such a chain has
its own certificate renewed. When all have done so, or time is over for those who were away, the new
root says that the old one counts no more, by a statement like that of an expulsion.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

import attrs
import trio

from van.errors import LocalError, NotAllowed, StorageError
from van.router.links.expelling import Expelling
from van.router.links.governing import Governing
from van.router.links.granting import Granting
from van.router.links.routes import Routes
from van.router.site.state import SiteState
from van.router.telemetry.events import EventKind, EventLog
from van.tls.authority import Authority
from van.tls.expulsion import sign_replacements
from van.tls.grants import INTERMEDIATE_LIFETIME

logger = logging.getLogger(__name__)

LOOK_INTERVAL: Final = 5.0
"""Seconds between looks at whether an old root's time is over, and who has still to be given an
authority by the new one."""


@attrs.frozen
class Progress:
    """How far a root has been replaced."""

    renewed: tuple[str, ...]
    """Sites whose certificates rest on the new one."""
    pending: tuple[str, ...]
    """Others that are known."""
    ends_at: datetime | None
    """When the old one counts no more by itself; None where this site does not hold the new one."""


class Rolling:
    """Replaces the root that this site holds; in trio's thread."""

    def __init__(
        self,
        site: SiteState,
        routes: Routes,
        granting: Granting,
        expelling: Expelling,
        governing: Governing,
        *,
        event_log: EventLog,
    ) -> None:
        self._site = site
        self._trust = site.trust
        self._routes = routes
        self._granting = granting
        self._expelling = expelling
        self._governing = governing
        self._event_log = event_log

    def progress(self) -> Progress | None:
        """Return how far a root has been replaced, as far as this site knows, or None when none is
        being replaced."""
        newest = self._trust.succession.newest
        if len(newest) == 1 or self._trust.is_replaced(newest.previous):
            return None
        known = {self._trust.site: self._trust.identity.roots}
        for name in self._routes.identities():
            identity = self._routes.identity_of(name)
            if identity is not None:
                known[name] = identity.roots
        renewed = tuple(sorted(name for name, roots in known.items() if roots == newest))
        pending = tuple(sorted(known.keys() - set(renewed)))
        root = self._trust.credentials.authority
        holds = root is not None and root.is_root and root.roots == newest
        return Progress(renewed, pending, self._ends_at(root) if root and holds else None)

    def roll(self) -> None:
        """Make a new root, which takes the place of the one that this site holds.

        It is on disk then, and the key of the old one is there no more. Raises `NotAllowed`, or
        `LocalError` while a root is being replaced, and nothing has changed.
        """
        root = self.check_roll()
        now = self._trust.clock()
        rolled = root.roll(now=now)
        self._site.install(self._trust.credentials.with_authority(rolled, now=now))
        text = "it holds a new root, which is to replace the one before"
        self._event_log.record(EventKind.AUTHORITY_CHANGED, self._trust.site, text)
        self._granting.renew_all()

    def check_roll(self) -> Authority:
        """Return the root that this site holds, or raise why it can't be replaced now."""
        root = self._root()
        progress = self.progress()
        if progress is not None:
            done, all_ = len(progress.renewed), len(progress.renewed) + len(progress.pending)
            raise LocalError(
                f"the root is being replaced already, and {done} of {all_} sites have followed: "
                "'van authority show' says who has not, and 'van authority roll --finish' puts the "
                "old root out"
            )
        return root

    def finish(self) -> None:
        """Put out the roots before the one that this site holds; what rests on them counts no more.

        It is on disk, and in force here, when this returns. Raises `LocalError` when no root is
        being replaced.
        """
        root = self.check_finish()
        held = {each.expulsion.key.hex() for each in self._trust.expulsions if each.successor}
        self._governing.carry_over(root)
        self._expelling.carry_over(root)
        now = self._trust.clock()
        for statement in sign_replacements(root, site=self._trust.site, at=now):
            if statement.key.hex() not in held:
                self._expelling.declare(statement)

    def check_finish(self) -> Authority:
        """Return the root that this site holds, or raise why the one before can't be put out."""
        root = self._root()
        if self.progress() is None:
            raise LocalError(
                "no root is being replaced: 'van authority roll' begins with that, and the old one "
                "may be out already"
            )
        return root

    async def run(self) -> None:
        """See to what has to be done while a root is being replaced, until cancelled."""
        while True:
            await trio.sleep(LOOK_INTERVAL)
            try:
                self._look()
            except (LocalError, StorageError) as exc:
                logger.warning("the root that was replaced is not put out yet: %s", exc)

    def _look(self) -> None:
        progress = self.progress()
        if progress is None or progress.ends_at is None:
            return
        if progress.ends_at <= self._trust.clock():
            self.finish()
        else:
            self._granting.renew_all()

    def _root(self) -> Authority:
        root = self._trust.credentials.authority
        if root is None or not root.is_root:
            raise NotAllowed(
                f"site {self._trust.site!r} does not hold the root of the VAN: replace it at a "
                "site that does, which 'van authority show' names"
            )
        if root.roots != self._trust.succession.newest:
            raise NotAllowed(
                f"the root that site {self._trust.site!r} holds has a successor already: "
                "'van authority show' names who holds that"
            )
        return root

    def _ends_at(self, root: Authority) -> datetime:
        """Return when everybody who was away has had the time to come back: the longest life of an
        authority, which issues until then, and the days in which a site returns after that."""
        known = map(self._routes.identity_of, self._routes.identities())
        lives = [each.grants.authority_life for each in known if each is not None]
        days = timedelta(days=self._site.settings.config.return_days)
        return root.issued_at + max([INTERMEDIATE_LIFETIME, *lives]) + days
