"""What is asked and answered about what the VAN as a whole allows."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from van.control.values.base import Value


class PolicyInfo(Value, frozen=True):
    """What the VAN allows now."""

    is_closed: bool
    """Whether nothing reaches anything but where a rule or a list says so."""
    document: str
    """The rules, in TOML; empty when there are none."""
    rules: tuple[str, ...]
    """The rules in words, in their order."""
    version: int
    """Of the statement; 0 when none was ever made."""
    at: datetime | None
    """When it was made, by the clock of who did; null when none was."""
    by: str
    """Site whose authority has signed; empty for the root."""


class PolicySpec(Value, frozen=True, forbid_unknown_fields=True):
    """What the VAN is to allow from now on; what is null stays as it is."""

    is_closed: bool | None = None
    """Whether nothing is to reach anything but where a rule or a list says so."""
    document: Annotated[str, Meta(max_length=32768)] | None = None
    """The rules, in TOML; empty for none."""


class PolicySet(Value, frozen=True):
    """What came of it."""

    state: str
    """`open` or `closed`."""
    version: int
    """Of the statement that is in force."""
    is_new: bool
    """Whether that is another one than before."""
    warnings: tuple[str, ...]
    """Rules that never count, and words that mean no site that is known."""


class PolicyCheckSpec(Value, frozen=True, forbid_unknown_fields=True):
    """A flow that may be allowed, or not."""

    source: str
    """Name of the site from which it comes."""
    address: str
    """`name:port`."""


class PolicyVerdict(Value, frozen=True):
    """Whether a site lets the flow in, and why."""

    site: str
    """A site that serves the address; empty where none is known to, and rules alone count."""
    protocol: str
    """`tcp`, `udp`, or `http`; empty as above."""
    is_allowed: bool
    """Whether it does."""
    reason: str
    """Which line decides, or what else."""


class PolicyCheck(Value, frozen=True):
    """Whether a flow is allowed, wherever it could go."""

    source: str
    """As asked."""
    tags: tuple[str, ...] | None
    """Those in the certificate of the site; null where it is not known here."""
    address: str
    """As asked."""
    verdicts: tuple[PolicyVerdict, ...]
    """One for each site that serves the address, or one for none."""
