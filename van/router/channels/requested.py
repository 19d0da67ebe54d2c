"""Channels that neighbours were asked to dial, since this site can't dial them."""

from collections import deque
from collections.abc import Callable

import attrs
import trio

from van.errors import LinkLost
from van.router.channels.channel import Channel
from van.wire.link import ChannelRequest


@attrs.define(eq=False)
class _Expected:
    """A channel that a neighbour was asked for; settled without one when its link is lost."""

    channel: Channel | None = None
    settled: trio.Event = attrs.field(factory=trio.Event)


class RequestedChannels:
    """Asks neighbours for channels, and hands each that arrives to whoever has waited longest."""

    def __init__(self, ask: Callable[[str, ChannelRequest], None]) -> None:
        self._ask = ask
        self._expected: dict[str, deque[_Expected]] = {}

    async def make(self, neighbor: str) -> Channel:
        """Return a channel that a neighbour dialled for it; raise `LinkLost`."""
        expected = _Expected()
        queue = self._expected.setdefault(neighbor, deque())
        queue.append(expected)
        try:
            self._ask(neighbor, ChannelRequest(1))
            await expected.settled.wait()
        except BaseException:
            if expected in queue:
                queue.remove(expected)
                self._forget_if_empty(neighbor)
            if expected.channel is not None:
                expected.channel.close()
            raise
        if expected.channel is None:
            raise LinkLost(f"the link to site {neighbor!r} was lost")
        return expected.channel

    def arrived(self, channel: Channel) -> None:
        """Hand on a channel that a neighbour dialled; one that nobody waits for is closed."""
        queue = self._expected.get(channel.site)
        if queue:
            expected = queue.popleft()
            self._forget_if_empty(channel.site)
            expected.channel = channel
            expected.settled.set()
        else:
            channel.close()

    def _forget_if_empty(self, neighbor: str) -> None:
        if not self._expected.get(neighbor, True):
            del self._expected[neighbor]

    def link_lost(self, neighbor: str) -> None:
        """Expect no channels from a neighbour any more: what was asked may never have arrived."""
        for expected in self._expected.pop(neighbor, ()):
            expected.settled.set()
