"""What is asked and answered about the VAN's authority: who holds it, and where it is kept."""

from datetime import datetime

from van.control.values.base import Value


class AuthorityInfo(Value, frozen=True):
    """An authority of the VAN, as far as this site knows."""

    site: str
    """Who holds it; empty for the root where no site in sight says so."""
    kind: str
    """`root`, `granted`, which is second to it, or `intermediate`."""
    key: str
    """The SHA-256 of its key in hexadecimal."""
    expires_at: datetime
    """Until when its certificate is valid, which one below the root has renewed before."""
    is_reachable: bool
    """Whether a path leads to that site now."""
    issued_by: str
    """Site whose authority is the one above; empty for that of the root."""
    sites: int
    """How many sites' certificates it has issued itself, of those that are known here."""
    can_invite: bool
    """Whether it may make others inviting sites."""
    allow_expose: tuple[str, ...]
    """Patterns of names that it may let others expose."""
    allow_bind: tuple[str, ...]
    """Patterns of names that it may let others bind."""


class RootRoll(Value, frozen=True):
    """A root that is being replaced by another."""

    renewed: tuple[str, ...]
    """Sites whose certificates rest on the new one."""
    pending: tuple[str, ...]
    """Other sites that are known here."""
    ends_at: datetime | None
    """When the old one counts no more by itself; null where this site does not hold the new one."""


class RootRollSpec(Value, frozen=True, forbid_unknown_fields=True):
    """What is to be done about the root that this site holds."""

    finish: bool = False
    """Whether to put out the old root now, or else to make a new one."""
    is_trial: bool = False
    """Whether to say what would come of it, and do nothing."""


class RootRolled(Value, frozen=True):
    """What came of it, or would."""

    state: str
    """`rolling`, or `finished`."""
    renewed: tuple[str, ...]
    """Sites whose certificates rest on the new root."""
    pending: tuple[str, ...]
    """Other sites that are known here: who has not followed when the old root is put out needs a
    new token."""


class Authorities(Value, frozen=True):
    """Who holds what in the VAN."""

    van: str
    """The VAN."""
    site: str
    """This site."""
    held: AuthorityInfo | None
    """What this site holds, or null."""
    known: tuple[AuthorityInfo, ...]
    """All that this site knows of, the root first; a site that is away is known by those whom it
    let in."""
    roll: RootRoll | None
    """How far the root has been replaced, or null."""


class AuthorityRestore(Value, frozen=True, forbid_unknown_fields=True):
    """A VAN's root, from a back-up that was opened."""

    key: str
    """Its private key, PKCS #8 in PEM: a secret."""
    certificates: str
    """What stands between its certificate and the VAN's first one, PEM; mostly empty."""
    root: str
    """The VAN's certificate, PEM."""


class AuthorityRestored(Value, frozen=True):
    """What came of it."""

    van: str
    """The VAN."""
    joined: bool
    """Whether the site was of another VAN before."""


class AuthorityGrantSpec(Value, frozen=True, forbid_unknown_fields=True):
    """Which site's authority is to be second to the root."""

    site: str
    """Its name."""
