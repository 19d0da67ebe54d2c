"""Which channels UDP sessions share, and how many there are of them."""

import math
from collections.abc import Callable
from functools import partial
from typing import Final

import attrs
import trio

from van.errors import RemoteError
from van.router.channels.channel import Channel
from van.router.channels.pool import Pool
from van.router.channels.pools import Pools
from van.router.channels.shared import SharingEgress, SharingIngress
from van.router.channels.subchannel import Subchannel
from van.router.reactor.loop import EventLoop
from van.wire.channel import Open, Share

MAX_SHARED: Final = 8
"""Channels to one site that are shared at one time: the first few sessions have one each, so that
what TCP has to send again for one delays no other; more of them would be handshakes for questions
that are answered sooner."""


@attrs.define(eq=False)
class _Attempt:
    """A channel that is being waited for, by one for all."""

    failure: RemoteError | None = None
    is_over: trio.Event = attrs.field(factory=trio.Event)


class SharedPool:
    """Gives subchannels to one site, as a pool gives channels; in trio's thread.

    A new session goes to the channel that has the fewest, along the best path; channels are shared
    anew after a change of paths or of the certificate, and older ones until their last session has
    left.
    """

    def __init__(
        self, loop: EventLoop, site: str, pools: Pools, on_unused: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._site = site
        self._pools = pools
        self._on_unused = on_unused
        self._shared: list[SharingIngress] = []
        self._attempt: _Attempt | None = None

    @property
    def _pool(self) -> Pool:
        """Return where channels come from; one that has given some stays until it has them back."""
        return self._pools.pool(self._site)

    @property
    def is_waited_for(self) -> bool:
        """Tell that who waits needs no channel that is given back."""
        return False

    def take(self) -> Subchannel | None:
        """Return a subchannel at once, or None. It must be given back with `release`."""
        usable = [each for each in self._shared if each.is_usable]
        pool = self._pool
        current = [each for each in usable if pool.is_current(each.channel)]
        best = min(current, key=len, default=None)
        if best is None or (len(best) and pool.size and len(current) < MAX_SHARED):
            channel = pool.take()
            shared = None if channel is None else self._share(channel)
            best = best if shared is None else shared
        if best is None:  # an older one is better than to wait for a new one, but no dearer one is
            best = min(
                (each for each in usable if pool.may_use(each.channel)), key=len, default=None
            )
        return None if best is None else best.open()

    async def acquire(self, patience: float = math.inf) -> Subchannel:
        """Return a subchannel, on a new channel if need be; as `Pool.acquire`."""
        while (subchannel := self.take()) is None:
            attempt = self._attempt
            if attempt is None:
                await self._make(patience)
            else:
                await attempt.is_over.wait()
                if attempt.failure is not None:
                    raise type(attempt.failure)(str(attempt.failure))
        return subchannel

    def release(self, subchannel: Subchannel, *, is_clean: bool = True) -> None:
        """Give back a subchannel that was taken, also if it was lost."""
        if is_clean:
            subchannel.close()
        else:
            subchannel.abort()
        self._forget_if_unused()

    def distrust(self, neighbor: str) -> None:
        """Open no session on a channel over a neighbour any more that there is now."""
        for shared in self._shared:
            if shared.channel.neighbor == neighbor:
                shared.retire()
        self._pool.distrust(neighbor)

    async def _make(self, patience: float) -> None:
        """Have one more channel that is shared, for all who wait."""
        attempt = self._attempt = _Attempt()
        try:
            self._share(await self._pool.acquire(patience))
        except RemoteError as exc:
            attempt.failure = exc
            raise
        finally:
            self._attempt = None
            attempt.is_over.set()
            self._forget_if_unused()

    def _share(self, channel: Channel) -> SharingIngress | None:
        """Share a channel that was taken from the pool; return None if it is lost at once."""
        shared = SharingIngress(self._loop, channel, self._ended)
        self._shared.append(shared)
        shared.start()
        return shared if shared.is_usable else None

    def _ended(self, shared: SharingIngress, is_clean: bool) -> None:  # noqa: FBT001  # a callback
        self._shared.remove(shared)
        self._pool.release(shared.channel, is_clean=is_clean)
        self._forget_if_unused()

    def _forget_if_unused(self) -> None:
        if not self._shared and self._attempt is None:
            self._on_unused()


class SharedPools:
    """Holds a shared pool for each site that sessions go to."""

    def __init__(self, loop: EventLoop, pools: Pools) -> None:
        self._loop = loop
        self._pools = pools
        self._by_site: dict[str, SharedPool] = {}

    def pool(self, site: str) -> SharedPool:
        """Return the pool of a site, which begins empty."""
        found = self._by_site.get(site)
        if found is None:
            forget = partial(self._forget, site)
            found = self._by_site[site] = SharedPool(self._loop, site, self._pools, forget)
        return found

    def _forget(self, site: str) -> None:
        self._by_site.pop(site, None)


class SessionAcceptor:
    """Serves channels that are shared: each session that is opened on one is handed on."""

    def __init__(self, loop: EventLoop, serve: Callable[[Subchannel, Open], None]) -> None:
        self._loop = loop
        self._serve = serve

    def serve(self, channel: Channel, _request: Share) -> None:
        """Serve one; the channel's user is the same again afterwards."""
        SharingEgress(self._loop, channel, self._serve).start()
