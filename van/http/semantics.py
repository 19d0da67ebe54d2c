"""Methods and statuses, whatever the version of HTTP (RFC 9110, sections 9 and 15)."""

from typing import Final

IDEMPOTENT: Final = frozenset({b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PUT", b"TRACE"})
"""Methods of which a request may be sent again when nobody knows whether it came (section
9.2.2)."""

WITHOUT_CONTENT: Final = frozenset({b"DELETE", b"GET", b"HEAD", b"OPTIONS"})
"""Methods whose requests need no content, so that some servers do not read it where it is there
(section 9.3.1)."""

SWITCHING: Final = 101
"""The only status below 200 behind which there is no other answer."""
_NO_CONTENT: Final = frozenset({204, 304})

REASONS: Final = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
"""The statuses of answers that are made here."""


def has_no_content(status: int, method: bytes) -> bool:
    """Tell whether an answer ends with its head, whatever its fields say (section 6.4.1)."""
    return status < 200 or status in _NO_CONTENT or method == b"HEAD"
