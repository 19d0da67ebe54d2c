"""How a flow ended."""

import enum
from collections.abc import Callable
from typing import Final

import attrs

from van.wire.channel import Reason


class Ending(enum.Enum):
    """How a flow ended, and its work with it."""

    FINISHED = "finished"
    """Both directions ended in order."""
    RESET = "reset"
    """One of the two programs, or the path, broke the flow off."""
    REFUSED = "refused"
    """The egress declined; the local connection is still open and can be offered elsewhere."""


@attrs.frozen
class Outcome:
    """How it ended, why, and whether the channel can be used again."""

    ending: Ending
    detail: str = ""
    reason: Reason | None = None
    is_channel_clean: bool = False
    is_silent: bool = False
    """Whether the egress, or something on the path to it, said nothing for too long."""


FINISHED: Final = Outcome(Ending.FINISHED, is_channel_clean=True)
"""What most flows end with."""
OnEnd = Callable[[Outcome], None]
"""Takes the outcome, once; the channel is no longer used by then, and may have a new user."""
