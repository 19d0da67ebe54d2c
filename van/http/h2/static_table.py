"""What both ends of HPACK know from the start: the static table (RFC 7541, appendix A)."""

from typing import Final

ENTRY_OVERHEAD: Final = 32
"""Bytes counted for each field beside its name and value (RFC 7541, section 4.1)."""
DEFAULT_TABLE_SIZE: Final = 4096
"""Bytes of a dynamic table unless SETTINGS say otherwise; more is never kept, in neither direction:
what is worth it is a few dozen fields, and an idle connection is to cost little."""

_VALUES: Final = {
    b":method": (b"GET", b"POST"),
    b":path": (b"/", b"/index.html"),
    b":scheme": (b"http", b"https"),
    b":status": (b"200", b"204", b"206", b"304", b"400", b"404", b"500"),
    b"accept-encoding": (b"gzip, deflate",),
}
_NAMES: Final = b"""
:authority :method :path :scheme :status
accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age
allow authorization cache-control content-disposition content-encoding content-language
content-length content-location content-range content-type cookie date etag expect expires from host
if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link location
max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after server
set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate
""".split()

STATIC_TABLE: Final = [(name, value) for name in _NAMES for value in _VALUES.get(name, (b"",))]
"""Its fields in order; the first has index 1."""
FIRST_DYNAMIC: Final = len(STATIC_TABLE) + 1
"""The index of the newest field of a dynamic table."""


def entry_size(name: bytes, value: bytes) -> int:
    """Return for how many bytes a field counts, in a table and in a list of fields."""
    return len(name) + len(value) + ENTRY_OVERHEAD
