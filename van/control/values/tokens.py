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
    names: tuple[str, ...] = ()
    """Patterns of the names that the new site may have, such as `laptop-*`; empty is any that this
    site may give."""
    replaces: bool = False
    """Whether it may take a name from the site that had it before."""
    can_invite: bool = False
    """Whether the new site may mint tokens."""
    allow_expose: tuple[str, ...] = ("*",)
    """Patterns of names that it may expose."""
    allow_bind: tuple[str, ...] = ("*",)
    """Patterns of names that it may bind."""
    may_name: tuple[str, ...] = ("*",)
    """If it may mint tokens: patterns of the names that it may give."""
    may_tag: tuple[str, ...] = ()
    """If it may mint tokens: patterns of the tags that it may give."""
    tags: tuple[str, ...] = ()
    """Tags of the new site."""
    life: Annotated[int, Meta(ge=10, le=366 * 86400)] | None = None
    """Seconds that its certificates are good, 10 to 31622400; null is what the VAN has set."""
    is_ephemeral: bool = False
    """Whether its certificate is not renewed, and its name is free once it has gone."""


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
    names: tuple[str, ...]
    """Patterns of the names that they may have."""
    replaces: bool
    """Whether they may take a name from the site that had it."""
    can_invite: bool
    """Whether they may mint tokens."""
    allow_expose: tuple[str, ...]
    """Patterns of names that they may expose."""
    allow_bind: tuple[str, ...]
    """Patterns of names that they may bind."""
    may_name: tuple[str, ...]
    """If they may mint tokens: patterns of the names that they may give."""
    may_tag: tuple[str, ...]
    """If they may mint tokens: patterns of the tags that they may give."""
    tags: tuple[str, ...]
    """Their tags."""
    life: int
    """Seconds that their certificates are good."""
    is_ephemeral: bool
    """Whether those are not renewed."""
