"""What all values of the control API share: their base, and the answers of the plainest kind."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

MAX_REQUEST: Final = 256 * 1024
"""Largest request body in bytes."""

Cost = Annotated[int, Meta(ge=1, le=65535)] | Literal["auto"]
"""Cost of a link; `auto` follows its round trip."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every structure of the API: immutable, built by keyword."""


class Created(Value, frozen=True):
    """What was made, changed, or removed, and how it stands now."""

    state: str
    """How it stands now: a state of the value above, or `removed`, `deleted`, `changed`,
    `granted`, `revoked`, `stopping`."""
    detail: str
    """Why, or nothing."""


class ErrorReply(Value, frozen=True):
    """Body of every reply that is not 2xx."""

    code: str
    """What went wrong, for programs."""
    message: str
    """What went wrong and what would be right, for people."""
