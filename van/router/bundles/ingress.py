"""The end of a bundle that opens flows."""

from collections.abc import Callable
from typing import Final

from van.errors import RemoteProtocolError
from van.router.bundles.bundle import MAX_UNSENT, Bundle
from van.router.bundles.siblings import Siblings
from van.router.bundles.subchannel import Subchannel
from van.router.channels.channel import Channel
from van.router.channels.frames import ChannelUser
from van.router.reactor.loop import EventLoop
from van.wire import bundle as wire
from van.wire.channel import CODEC, Kind
from van.wire.channel import Bundle as BundleRequest

_OPEN: Final = int(Kind.OPEN)


class IngressBundle(Bundle):
    """The end that opens flows."""

    def __init__(
        self,
        loop: EventLoop,
        channel: Channel,
        identifier: bytes,
        siblings: Siblings,
        *,
        on_left: Callable[["IngressBundle"], None],
        on_lost: Callable[["IngressBundle"], None],
    ) -> None:
        """`on_left` is called when the last flow has left, and `on_lost` when the connection is
        lost."""
        super().__init__(loop, channel, identifier, siblings)
        self.unused_since = loop.clock()
        self._on_left = on_left
        self._on_lost = on_lost
        self._is_retired = False
        self._last_number = 0

    @property
    def is_usable(self) -> bool:
        """Tell whether flows may be opened."""
        return (
            self.channel.is_open
            and not self._is_retired
            and len(self._flows) < wire.MAX_FLOWS
            and self._last_number < wire.MAX_NUMBER
        )

    def retire(self) -> None:
        """Open no more flows; those that there are stay."""
        self._is_retired = True

    def start(self) -> None:
        """Make the channel a bundle from now on."""
        self.channel.hand_to(self)
        self.channel.limit_unsent(MAX_UNSENT)
        self.channel.send(CODEC.encode(BundleRequest(self.identifier)))
        self.channel.divert(self)
        self.siblings.add(self)

    def close(self) -> None:
        """Close the connection, on which no flow is."""
        self.siblings.remove(self)
        self.channel.close()
        self._let_go()

    def open(self, user: ChannelUser) -> Subchannel:
        """Return a new subchannel, to be left with `close` or `abort`.

        The one opened next must not send before this one has: numbers go up as they are sent.
        """
        self._last_number += 1
        subchannel = Subchannel(self, self._last_number, user)
        self._flows[subchannel.number] = subchannel
        return subchannel

    def _were_left(self) -> None:
        if self.channel.is_open:
            self.unused_since = self._loop.clock()
            self._on_left(self)

    def _receive_width(self, bundles: int) -> None:
        self.siblings.asked_for(bundles)

    def _receive_unknown(self, kind: int, number: int, payload: memoryview) -> None:
        if kind == _OPEN or number > self._last_number:
            raise RemoteProtocolError(f"the egress has opened flow {number}")

    def channel_lost(self, reason: str) -> None:
        """Tell everybody."""
        self.siblings.remove(self)
        self._on_lost(self)
        super().channel_lost(reason)
