"""One proxy of a chain, as all of them are told of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

BACKLOG: Final = 4096
CONNECTIONS: Final = 9000
"""Flows that a proxy has room for; each takes two descriptors of the 20,000 there are here."""


@attrs.frozen
class Hop:
    """One proxy of a chain: what it accepts, and where it passes that on."""

    site: str
    certificate: Path
    root: Path
    listen: int
    connect: int
    previous: str | None
    """The site that connects with TLS, or None when programs connect without."""
    next: str | None
    """The site to connect to with TLS, or None for the program at the end."""
    inner: int
    """A free port, for a program that can't accept and connect with TLS in one."""


Setup = Callable[[Hop, Path], tuple[str, ...]]
"""Writes a hop's configuration to a file, and returns the command to run in the foreground."""
