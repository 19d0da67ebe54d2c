"""What a site has on disk, and what is in force of it while its router runs."""

import logging
from typing import Self

import attrs

from van.errors import StorageError
from van.paths import SitePaths
from van.router.site.audit import Audit
from van.router.site.exposures import Exposures
from van.router.site.expulsion_file import ExpulsionFile
from van.router.site.incarnation import advance_incarnation, begin_run, keep_incarnation
from van.router.site.pin_file import PinFile
from van.router.site.policy_file import PolicyFile
from van.router.site.settings import Settings
from van.router.site.trail_copies import TrailCopies
from van.router.site.trust import Trust
from van.routing.engine.copies import Run
from van.tls.credentials import Credentials
from van.tls.ledger import TokenLedger

logger = logging.getLogger(__name__)


@attrs.frozen
class SiteState:
    """Who a site is, how it is set, which tokens it has minted, and how often it has started."""

    paths: SitePaths
    settings: Settings
    trust: Trust
    ledger: TokenLedger
    exposures: Exposures
    expulsion_file: ExpulsionFile
    pin_file: PinFile
    policy_file: PolicyFile
    audit: Audit
    trail_copies: TrailCopies
    incarnation: int
    run: Run = attrs.field(factory=begin_run)

    @classmethod
    def load(cls, paths: SitePaths, credentials: Credentials, settings: Settings) -> Self:
        """Read the rest from disk, for a new start of the router; raise `StorageError`."""
        trust, expulsion_file = Trust(credentials), ExpulsionFile(paths.expulsions_file)
        expulsion_file.load(trust.expulsions)
        pin_file = PinFile(paths.pins_file)
        trust.pins.restore(pin_file.load(trust.van_id))
        policy_file = PolicyFile(paths.policies_file)
        policy_file.load(trust.policies)
        return cls(
            paths,
            settings,
            trust,
            TokenLedger(paths.tokens_dir),
            Exposures.load(paths.exposures_file),
            expulsion_file,
            pin_file,
            policy_file,
            Audit(paths, trust),
            TrailCopies(paths.audit_copies_dir, trust),
            advance_incarnation(paths.incarnation_file, latest=trust.latest_incarnation()),
        )

    @property
    def name(self) -> str:
        """Return the site's name."""
        return self.trust.site

    def install(self, credentials: Credentials) -> None:
        """Make new credentials durable, then use them everywhere; raise `StorageError`."""
        credentials.save(self.paths.identity_file)
        self.trust.replace(credentials)

    def keep_incarnation(self, incarnation: int) -> None:
        """Make sure that the next start has a higher incarnation than this one, if that can be."""
        try:
            keep_incarnation(self.paths.incarnation_file, incarnation)
        except StorageError as exc:
            # The next start then finds out the same way as this one: no reason to end this one.
            logger.warning("incarnation %d is not kept: %s", incarnation, exc)
