"""Why datagrams are dropped, and how many were."""

import enum
from collections import Counter


class DropCause(enum.StrEnum):
    """Why a datagram was dropped, as it is counted."""

    PATH_BLOCKED = "path-blocked"
    """The channel took no more, and newer ones came."""
    NOT_PLACED = "not-placed"
    """More came than are kept while an instance is looked for."""
    NO_INSTANCE = "no-instance"
    """No instance took the session."""
    TOO_MANY_SESSIONS = "too-many-sessions"
    LOCAL_BLOCKED = "local-blocked"
    """The socket of the client or target took no more."""
    SOCKET_FULL = "socket-full"
    """The kernel had no room for what came at a listener's or target's socket."""
    NO_BRANCH = "no-branch"
    """A part of a multicast tree was lost, and is being laid anew."""
    NOT_GENUINE = "not-genuine"
    """A copy that its source had not sealed, that had come before, or that came too late."""
    TOO_LARGE = "too-large"
    """The way to the client or target, or a frame, has no room for one of this size."""


Drops = Counter[str]
"""How many were dropped, by cause."""
