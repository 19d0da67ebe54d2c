"""Tokens, and what is asked about them."""

from typing import Annotated

from msgspec import Meta

from van.control.values.base import Cost, Value


class TokenCreate(Value, frozen=True, forbid_unknown_fields=True):
    """A token that is to be minted."""

    expires_in: Annotated[float, Meta(ge=1, le=366 * 86400)] = 900.0
    """Seconds until it is worthless, 1 to 31622400."""
    uses: Annotated[int, Meta(ge=1, le=100_000)] = 1
    """How many sites it lets in, up to 100000."""
    cost: Cost = 1
    """Cost of the link, 1 to 65535; `"auto"` follows its round trip."""
    can_invite: bool = False
    """Whether the new site may mint tokens."""
    allow_expose: tuple[str, ...] = ("*",)
    """Patterns of names that it may expose."""
    allow_bind: tuple[str, ...] = ("*",)
    """Patterns of names that it may bind."""


class TokenCreated(Value, frozen=True):
    """A minted token."""

    id: str
    """For listing and revoking."""
    token: str
    """Content of the token's file: a secret."""
    addresses: tuple[str, ...]
    """Where it tells the new site to dial."""
    is_local_only: bool
    """Whether all of those are loopback."""


class TokenInfo(Value, frozen=True):
    """A token that this site minted."""

    id: str
    """The token."""
    state: str
    """`valid`, `used up`, `expired`, or `revoked`."""
    expires_in: float
    """Seconds left, or 0."""
    uses: int
    """How many sites it lets in."""
    used_by: tuple[str, ...]
    """Those that it has let in."""
    can_invite: bool
    """Whether they may mint tokens."""
    allow_expose: tuple[str, ...]
    """Patterns of names that they may expose."""
    allow_bind: tuple[str, ...]
    """Patterns of names that they may bind."""
