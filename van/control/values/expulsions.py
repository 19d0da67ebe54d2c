"""What is asked and answered about sites that are put out of the VAN."""

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta

from van.control.values.base import Value

KEY_PATTERN: Final = "^[0-9a-f]{64}$"
"""How the SHA-256 of a key is written."""

MAX_REASON: Final = 200
"""Characters in what is told of why a site was put out."""


class ExpelSpec(Value, frozen=True, forbid_unknown_fields=True):
    """Which site to put out of the VAN, for good."""

    site: str
    """Its name."""
    key: Annotated[str, Meta(pattern=KEY_PATTERN)] | None = None
    """The SHA-256 of its key in hexadecimal, where the site is known here by its name no more."""
    reason: Annotated[str, Meta(max_length=MAX_REASON)] = ""
    """Told everywhere, also to the site."""
    is_trial: bool = False
    """Whether to say what would come of it, and do nothing."""


class Expelled(Value, frozen=True):
    """What came of it, or would."""

    site: str
    """The site."""
    key: str
    """The SHA-256 of its key in hexadecimal."""
    is_new: bool
    """Whether it was a member until now."""
    invited: tuple[str, ...]
    """Sites that go with it, as their certificates rest on its authority."""
    unreachable: tuple[str, ...]
    """Other sites to which no path leads from here without it."""
    may_answer: bool = False
    """Whether it may expel this site in turn, as its authority is as near to the root as this one:
    both are out then."""
    has_answered: bool = False
    """Whether it has done so: both are out with this."""
    readmitted: tuple[str, ...] = ()
    """Sites with authorities that it had expelled, which are members again, as this site's
    authority is nearer to the root."""
    unheard: str = ""
    """Why no other site hears of it now: this one is out itself, or has no link; empty where they
    do."""


class ForgetSpec(Value, frozen=True, forbid_unknown_fields=True):
    """Which name to free, as its key is lost."""

    site: str
    """The name."""
    key: Annotated[str, Meta(pattern=KEY_PATTERN)] | None = None
    """The SHA-256 of the key in hexadecimal, where several are known by that name."""
    is_trial: bool = False
    """Whether to say what would come of it, and do nothing."""


class Forgotten(Value, frozen=True):
    """What came of it, or would."""

    site: str
    """The name."""
    key: str
    """The SHA-256 of the key that had it, in hexadecimal."""
    is_new: bool
    """Whether that key was a member's until now."""
    seen: datetime | None
    """When the site was last there, if it ever was here."""


class ExpulsionInfo(Value, frozen=True):
    """A site that was put out of the VAN, or whose key was given up."""

    site: str
    """Its name then."""
    key: str
    """The SHA-256 of its key in hexadecimal: another site may have the name by now."""
    at: datetime
    """When, by the clock of who did it."""
    by: str
    """Site whose authority has signed; empty for that of the VAN itself."""
    reason: str
    """Why, if that was said."""
    is_forgotten: bool
    """Whether its key was lost, and nobody was put out with it."""
    state: str = "in force"
    """`in force`; `mutual`, where two authorities have expelled each other, and both are out; or
    `overruled`: who signed was expelled by one nearer to the root, and what it said counts for
    those below it alone."""
