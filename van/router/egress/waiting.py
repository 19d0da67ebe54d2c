"""A flow at the egress while its target is being connected to."""

import trio

from van.router.bundles.subchannel import Carrier
from van.router.channels.frames import Unused
from van.router.flow.flow import Flow
from van.router.flow.local_channel import LocalChannel
from van.router.flow.outcome import Ending


class WaitingFlow(Unused):
    """The user of a channel whose flow waits for a target; paused, so that what follows is kept.

    In the event loop's thread. The wait is cancelled with the channel: an ingress whose client has
    left breaks it off.
    """

    __slots__ = ("_waits", "channel", "flow", "is_waiting", "scope")

    def __init__(self, channel: Carrier | LocalChannel, flow: Flow) -> None:
        """Take the channel, and the flow."""
        self.channel = channel
        self.flow = flow
        self.scope = trio.CancelScope()
        self.is_waiting = True
        self._waits = channel.user
        channel.hand_to(self)
        channel.pause()
        flow.carried_by(self)

    def give_back(self) -> None:
        """Let the channel be used as it was before; it is still paused."""
        self.is_waiting = False
        self.channel.hand_to(self._waits)
        self.flow.carried_by(None)

    def meter(self) -> tuple[int, int]:
        """Return that no byte went anywhere."""
        return 0, 0

    def abort(self, detail: str = "") -> None:
        """Break the flow off, and the channel with it."""
        if self.is_waiting:
            self.flow.ending, self.flow.detail = Ending.RESET, detail
            self.channel.abort(detail)
            self.scope.cancel()

    def channel_lost(self, reason: str) -> None:
        """Wait no more."""
        self.flow.ending = Ending.RESET
        self.flow.detail = self.flow.detail or f"the ingress left before it was taken: {reason}"
        self.scope.cancel()
