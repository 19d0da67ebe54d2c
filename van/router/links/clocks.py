"""The wall clocks of two sites: how far they are apart, and what people are told of it.

Certificates go by wall clocks, and each site has its own. What is judged once is judged by one of
them alone: a token by that of the site that minted it.
"""

from typing import Final

MAX_OFFSET: Final = 60.0
"""Seconds by which two clocks may differ before people are told; what a hello is on its way counts
as well."""
_UNITS: Final = ((86400, "days"), (3600, "hours"), (60, "minutes"))


def clock_offset(theirs: float, ours: float) -> float | None:
    """Return by how many seconds a peer's clock is ahead of ours, or None if it did not tell."""
    return theirs - ours if theirs else None


def describe_offset(site: str, offset: float | None) -> str:
    """Say how far this site's clock and that of another are apart; nothing if that is all right."""
    if offset is None or abs(offset) <= MAX_OFFSET:
        return ""
    unit, name = next(each for each in _UNITS if abs(offset) >= each[0])
    way = "behind" if offset > 0 else "ahead of"
    return (
        f"this site's clock is {abs(offset) / unit:.3g} {name} {way} that of site {site!r}: "
        "certificates go by clocks, so set the one that is wrong"
    )
