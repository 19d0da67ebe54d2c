"""What a site has done with its authority."""

from datetime import datetime

from van.control.values.base import Value


class AuditRecordInfo(Value, frozen=True):
    """One thing that was done."""

    number: int
    """Counts from 1, without a gap."""
    at: datetime
    """When, by the clock of the site."""
    site: str
    """Who did it."""
    kind: str
    """One of the kinds below; more may be added."""
    subject: str
    """The site, or token, that it was done to; empty when it is the VAN."""
    text: str
    """What was done, for people."""


class AuditInfo(Value, frozen=True):
    """The audit trail of a site."""

    records: tuple[AuditRecordInfo, ...]
    """The newest thousand, the oldest first."""
    troubles: tuple[str, ...]
    """What was changed in it, or removed, if anything was."""
