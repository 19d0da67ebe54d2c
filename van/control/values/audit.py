"""What sites have done with their authority."""

from datetime import datetime

from van.control.values.base import Value


class AuditRecordInfo(Value, frozen=True):
    """One thing that was done."""

    number: int
    """Counts from 1 at each site, without a gap."""
    at: datetime
    """When, by the clock of the site."""
    site: str
    """Who did it, and signed the record."""
    kind: str
    """One of the kinds below; more may be added."""
    subject: str
    """The site, or token, that it was done to; empty when it is the VAN."""
    text: str
    """What was done, for people."""


class AuditCopyInfo(Value, frozen=True):
    """A copy of this site's trail at another authority."""

    site: str
    """Who keeps it."""
    number: int
    """The last record that it is known to have since this router started, or 0."""
    error: str
    """Why it has no more; empty if it has all, or will have in a moment."""


class AuditInfo(Value, frozen=True):
    """The audit trails that a site has: its own, and copies of other authorities'."""

    records: tuple[AuditRecordInfo, ...]
    """The newest thousand of all trails, in the order of their times."""
    troubles: tuple[str, ...]
    """What was changed in them, or removed, or was not taken from others, if anything was."""
    copies: tuple[AuditCopyInfo, ...] = ()
    """Where this site's own trail is copied to."""
