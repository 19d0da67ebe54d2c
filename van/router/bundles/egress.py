"""The end of a bundle at which flows are served."""

from collections.abc import Callable
from typing import Final

from van.errors import RemoteProtocolError
from van.router.bundles.bundle import MAX_UNSENT, Bundle
from van.router.bundles.siblings import Siblings
from van.router.bundles.subchannel import Subchannel
from van.router.channels.channel import Channel
from van.router.channels.frames import Unused
from van.router.reactor.loop import EventLoop
from van.wire import bundle as wire
from van.wire.channel import CODEC, Carry, Kind, Open

_BEGIN: Final = frozenset({int(Kind.OPEN), int(Kind.CARRY)})
MAX_BEGUN: Final = 32
"""Flows that one bundle may begin before others have their turn. To begin one, and to end it again,
costs whoever serves it a thousand times what the two frames cost: an ingress that opens and leaves
flows without end holds up its own."""
Serve = Callable[[Subchannel, Open], None]
"""Begins to serve a flow; may raise `RemoteProtocolError`, which ends the connection."""
Return = Callable[[Subchannel, Carry], None]
"""Has a flow that had left go on on a bundle; may raise `RemoteProtocolError`, which ends the
connection."""


class EgressBundle(Bundle):
    """The end at which flows are served."""

    asks_for_channels = True

    def __init__(
        self,
        loop: EventLoop,
        channel: Channel,
        identifier: bytes,
        siblings: Siblings,
        *,
        serve: Serve,
        take_back: Return,
        on_lost: Callable[[], object],
    ) -> None:
        """`on_lost` is called when the connection is lost."""
        super().__init__(loop, channel, identifier, siblings)
        self._serve = serve
        self._take_back = take_back
        self._on_lost = on_lost
        self._over = Unused()
        """The user of a subchannel whose flow has not begun, or is over."""
        self._highest = 0
        self._begun = 0
        """Flows since others had their turn."""
        self._slice = 0
        """Which of the loop's slices that was."""

    def start(self) -> None:
        """Make the channel a bundle from now on."""
        self.channel.hand_to(self)
        self.channel.limit_unsent(MAX_UNSENT)
        self.channel.divert(self)
        self.siblings.add(self)

    def _receive_width(self, bundles: int) -> None:
        raise RemoteProtocolError(f"the ingress has asked for {bundles} bundles")

    def _receive_unknown(self, kind: int, number: int, payload: memoryview) -> None:
        if number <= self._highest:
            if kind in _BEGIN:
                raise RemoteProtocolError(f"flow {number} was opened before")
            return  # the ingress has yet to hear that the flow is over
        if kind not in _BEGIN:
            raise RemoteProtocolError(f"flow {number} was not opened")
        if len(self._flows) >= wire.MAX_FLOWS:
            raise RemoteProtocolError(f"{wire.MAX_FLOWS} flows are open already")
        request = CODEC.decode(kind, payload)
        assert isinstance(request, Open | Carry)
        self._highest = number
        subchannel = Subchannel(self, number, self._over, is_begun=True)
        self._flows[number] = self._current = subchannel
        if isinstance(request, Open):
            self._serve(subchannel, request)
        else:
            self._take_back(subchannel, request)
        if subchannel.user is self._over:  # it was refused
            subchannel.close()
        if self._slice != self._loop.slices:
            self._slice, self._begun = self._loop.slices, 0
        self._begun += 1
        if self._begun >= MAX_BEGUN:
            self._begun = 0
            self._rest_a_turn()

    def channel_lost(self, reason: str) -> None:
        """Tell everybody."""
        self.siblings.remove(self)
        self._on_lost()
        super().channel_lost(reason)
