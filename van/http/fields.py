"""Fields of HTTP messages, whatever the version: their grammar, their limits, and what is not
passed on.

Names are in lower case. The grammar is that of RFC 9110, section 5, with none of its leniencies.
"""

import re
from typing import Final

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
"""One character of a token (RFC 9110, section 5.6.2), for a regular expression."""
TEXT: Final = rb"[\t -~\x80-\xff]"
"""One character of a field's value (section 5.5), and of what is around it."""

MAX_HEAD: Final = 32 * 1024
"""Bytes of a head, with `FIELD_COST` for each field: four times what servers take by default, for
cookies and credentials are long."""
MAX_FIELDS: Final = 128
"""Fields of a head or of trailers. In HTTP/2 each crumb of a cookie is one."""
FIELD_COST: Final = 32
"""Bytes that a field counts for besides its own (RFC 9113, section 6.5.2): what it costs to hold
it."""
MAX_TRAILERS: Final = 8 * 1024
"""Bytes of trailers."""
MAX_METHOD: Final = 32
"""Bytes of a method: twice the longest one that is registered (UPDATEREDIRECTREF)."""

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that are for the next hop only (RFC 9110, sections 7.6.1 and 11.7; RFC 7540, section
3.2.1)."""
END_TO_END: Final = frozenset(
    {
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"date",
        b"expect",
        b"forwarded",
        b"host",
        b"set-cookie",
        b"via",
        b"x-request-id",
    }
)
"""Fields that nobody may name in Connection, for without them the message is another one. Clients
have named them there to have a proxy take out what it had checked."""
NOT_IN_TRAILERS: Final = HOP_BY_HOP | frozenset(
    {
        b"age",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expect",
        b"forwarded",
        b"host",
        b"location",
        b"max-forwards",
        b"range",
        b"set-cookie",
        b"trailer",
        b"via",
        b"www-authenticate",
    }
)
"""Fields that say how a message is framed, routed, authenticated, or understood (section 6.5.1):
who puts trailers to the other fields would be deceived."""

_TOKEN: Final = re.compile(rb"%b++" % TOKEN)
_TEXT: Final = re.compile(rb"%b*+" % TEXT)


def is_token(text: bytes) -> bool:
    """Tell whether a text is a token: a field's name, a method, a protocol."""
    return _TOKEN.fullmatch(text) is not None


def is_value(text: bytes) -> bool:
    """Tell whether a text may be a field's value: no control character but the tab."""
    return _TEXT.fullmatch(text) is not None
