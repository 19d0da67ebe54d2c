"""The revision of the protocol that this router speaks, and who can't be spoken with.

All three conversations have one revision, of two numbers. Peers of one *major* revision understand
each other, and both use the lower of their *minor* ones; what may change in which is in
docs/protocol.md, under "Changing the protocol".
"""

from typing import Final

from van.errors import OtherRevision

MAJOR: Final = 2
MINOR: Final = 0


def check_major(theirs: int, *, peer: str, site: str, software: str = "") -> None:
    """Raise `OtherRevision` unless a peer speaks this major revision; the text is for both ends.

    `software` is the peer's version of van, if it has said.
    """
    if theirs == MAJOR:
        return
    there = f"site {peer!r} (van {software})" if software else f"site {peer!r}"
    sides = sorted(((theirs, there, peer), (MAJOR, f"site {site!r}", site)))
    (old, older, outdated), (new, newer, _) = sides
    error = OtherRevision(
        f"{older} speaks revision {old} of the protocol, which is older than revision {new} of "
        f"{newer}: upgrade van at site {outdated!r}"
    )
    error.site = peer
    raise error


def agreed_minor(theirs: int) -> int:
    """Return the minor revision that is used with a peer of this major one."""
    return min(theirs, MINOR)
