"""Which channels and relays run over which link, so that a dead one can take its own along."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

from van.router.channels.channel import Channel
from van.router.reactor.relay import Relay
from van.router.subscription import Subscribers
from van.tls.identity import SiteIdentity

FLUSH_LOOK: Final = 0.01
"""Seconds between two looks at whether channels have sent what they had to."""


class ChannelTable:
    """All open channels and relays, by the neighbour over whose link they run."""

    def __init__(self) -> None:
        self.added: Subscribers[[Channel]] = Subscribers()
        self._by_neighbor: dict[str, set[Channel | Relay]] = {}

    def add(self, channel: Channel) -> None:
        """Hold a channel until it is closed."""
        self._by_neighbor.setdefault(channel.neighbor, set()).add(channel)
        channel.on_close = self._discard
        self.added.tell(channel)

    def _discard(self, channel: Channel) -> None:
        self._remove(channel.neighbor, channel)

    def _remove(self, neighbor: str, each: Channel | Relay) -> None:
        held = self._by_neighbor.get(neighbor)
        if held is not None:
            held.discard(each)
            if not held:
                del self._by_neighbor[neighbor]

    @contextmanager
    def holding(self, relay: Relay, *neighbors: str) -> Iterator[None]:
        """Hold a relay under both of its neighbours for a while."""
        for neighbor in neighbors:
            self._by_neighbor.setdefault(neighbor, set()).add(relay)
        try:
            yield
        finally:
            for neighbor in neighbors:
                self._remove(neighbor, relay)

    def channels(self) -> list[Channel]:
        """Return all channels, over whatever links they run."""
        # In any thread of a loop one may end meanwhile: what is looped over are copies.
        return [
            each
            for held in list(self._by_neighbor.values())
            for each in list(held)
            if isinstance(each, Channel)
        ]

    def users(self, neighbor: str) -> list[object]:
        """Return who uses the channels that run over a link."""
        over = list(self._by_neighbor.get(neighbor, ()))
        return [user for each in over if isinstance(each, Channel) for user in each.users()]

    async def flushed(self) -> None:
        """Wait until what was sent on every channel has got to its other end."""
        # The kernel tells nobody when it has sent something.
        while any(each.unsent for each in self.channels()):  # noqa: ASYNC110
            await trio.sleep(FLUSH_LOOK)

    def certify(self, identity: SiteIdentity) -> None:
        """Judge what comes on the channels of a site by a newer certificate of its key."""
        for each in self.channels():
            if each.peer.is_succeeded_by(identity):
                each.peer = identity

    def break_off_peers(self, is_out: Callable[[SiteIdentity], bool], reason: str) -> None:
        """Break off the channels with some sites, which are told why, over whatever links they
        run."""
        for each in self.channels():
            if is_out(each.peer):
                each.break_off(reason, is_told=True)

    def close(self) -> None:
        """Break off everything, when the router has stopped."""
        for neighbor in list(self._by_neighbor):
            self.abort(neighbor, "the router has stopped", is_told=True)

    def abort(self, neighbor: str, reason: str, *, is_told: bool = False) -> None:
        """Break off everything that runs over a link which is gone; the other ends of channels are
        told why where that may get there."""
        for each in list(self._by_neighbor.pop(neighbor, ())):
            if isinstance(each, Channel):
                each.break_off(reason, is_told=is_told)
            else:
                each.abort()
