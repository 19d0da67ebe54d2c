"""What is answered about one site of the VAN: who it is, and since when."""

from datetime import datetime

from van.control.values.base import Value


class SiteCertificate(Value, frozen=True):
    """What a site's certificate says."""

    id: str
    """Its SPIFFE id."""
    tags: tuple[str, ...]
    """Its tags."""
    can_invite: bool
    """Whether it may let others in."""
    allow_expose: tuple[str, ...]
    """Patterns of names that it may expose."""
    allow_bind: tuple[str, ...]
    """Patterns of names that it may bind."""
    may_name: tuple[str, ...]
    """Patterns of names that it may give to sites, if it may let them in."""
    may_tag: tuple[str, ...]
    """Patterns of tags that it may give to sites, if it may let them in."""
    is_ephemeral: bool
    """Whether it is not renewed, and the name free when the site has gone."""
    issued_by: tuple[str, ...]
    """Sites whose authorities it rests on, the nearest first; empty for the root alone."""
    first_issued: datetime
    """When its key was let in first."""
    expires_at: datetime
    """Until when it is valid."""


class SiteShown(Value, frozen=True):
    """All that this site knows of another one, or of itself."""

    site: str
    """Its name."""
    state: str
    """`up`, `away`, `expelled`, or `forgotten`: that its key was given up."""
    key: str | None
    """The SHA-256 of the key that has the name, in hexadecimal, or of the last one that had it."""
    pinned_since: datetime | None
    """Since when this site keeps the name for that key; null for one that it has never met, for
    itself, and for an ephemeral one."""
    seen: datetime | None
    """When it was last there, if it is away and has ever been here."""
    certificate: SiteCertificate | None
    """What its certificate says, or null where it is not known any more."""
    tokens: tuple[str, ...]
    """Ids of the tokens of this site that have let that key in."""
    statements: tuple[str, ...]
    """What authorities have said of keys that had the name, the first one first."""
    version: str = ""
    """Version of its router, as it said last; empty where that is not known."""
