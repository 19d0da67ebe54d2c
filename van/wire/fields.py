"""Constrained field types of messages: what does not fit is refused while decoding."""

from typing import Annotated, Final

from msgspec import Meta

from van.names import MAX_LABEL, MAX_NAME

AUTO_COST: Final = 0
"""In the place of a link's cost: each end works it out from the round trip that it measures."""
SiteName = Annotated[str, Meta(max_length=MAX_LABEL, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")]
AddressText = Annotated[
    str, Meta(max_length=MAX_NAME + 6, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?:[1-9][0-9]{0,4}\Z")
]
"""A VAN address in text form; a receiver still parses it with `Address.parse`."""
ShortText = Annotated[str, Meta(max_length=512)]
"""Text meant for people: a reason, a message."""
Certificate = Annotated[bytes, Meta(max_length=8192)]
"""One X.509 certificate in DER."""
CertificateRequest = Annotated[bytes, Meta(max_length=4096)]
"""One PKCS #10 request (RFC 2986) in DER."""
Chain = Annotated[tuple[Certificate, ...], Meta(max_length=24)]
"""Certificates from the leaf upward, without the root."""
Major = Annotated[int, Meta(ge=1, le=255)]
Minor = Annotated[int, Meta(ge=0, le=255)]
"""Of the sender's revision of the protocol (`van.wire.revision`)."""
SoftwareVersion = Annotated[str, Meta(max_length=32, pattern=r"\A[0-9A-Za-z.+!_-]*\Z")]
"""Version of the sender's van, for people; empty if it does not say."""
MAX_UNSIGNED64: Final = 2**63 - 1
Unsigned64 = Annotated[int, Meta(ge=0, le=MAX_UNSIGNED64)]
Unsigned32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e9)]
"""A duration, or a sender's monotonic clock."""
UnixTime = Annotated[float, Meta(ge=0.0, le=1e11)]
"""A sender's wall clock, in seconds since 1970; 0 if it does not say."""
