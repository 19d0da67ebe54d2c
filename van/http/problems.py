"""Refusals, and the answers that are made here because nobody else gives one (RFC 9457)."""

from typing import Final

import attrs
import msgspec

from van.errors import RemoteProtocolError
from van.http.semantics import REASONS

CONTENT_TYPE: Final = b"application/problem+json"


class MessageRefused(RemoteProtocolError):
    """A client or a target sent what is not a message of HTTP, or not one that is passed on."""

    code = "http"

    def __init__(self, status: int, reason: str) -> None:
        """`status` is what a client is to be told: 4xx or 501 and above for what it sent itself,
        502 for what a target sent."""
        super().__init__(reason)
        self.status = status

    @property
    def problem(self) -> "Problem":
        """What to answer, if an answer can still be given."""
        return Problem(self.status, str(self))


@attrs.frozen
class Problem:
    """An answer that is made here: a status of `REASONS`, what happened, for people, and after how
    many seconds another try is worth it, if that is known."""

    status: int = attrs.field(validator=attrs.validators.in_(REASONS))
    detail: str
    retry_after: int | None = None

    @property
    def body(self) -> bytes:
        """The content, in JSON."""
        said = {"title": REASONS[self.status], "status": self.status, "detail": self.detail}
        return msgspec.json.encode(said)

    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields that go with the body, with names in lower case; the length is not
        there."""
        fields = ((b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store"))
        if self.retry_after is None:
            return fields
        return (*fields, (b"retry-after", b"%d" % self.retry_after))
