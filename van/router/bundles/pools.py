"""Which bundles there are to a site, and which of them a new flow goes on."""

import math
import secrets
from collections.abc import Callable
from functools import partial

import attrs
import trio

from van.errors import RemoteError, RemoteProtocolError
from van.router.bundles.egress import EgressBundle, Serve
from van.router.bundles.ingress import IngressBundle
from van.router.bundles.siblings import Siblings
from van.router.bundles.subchannel import Carrier, FlowName, Subchannel
from van.router.channels.channel import Channel
from van.router.channels.frames import UNUSED
from van.router.channels.pool import Pool
from van.router.channels.pools import Pools
from van.router.reactor.loop import EventLoop
from van.wire.channel import CODEC, Bundle, Carry, Width


@attrs.define(eq=False)
class _Attempt:
    """A bundle that is being made, by one for all who wait."""

    bundle: IngressBundle | None = None
    failure: RemoteError | None = None
    is_over: trio.Event = attrs.field(factory=trio.Event)


class BundlePool:
    """Gives subchannels to one site, as a pool gives channels; in trio's thread.

    New flows go on bundles along the best path, in turns. After a change of paths or of the
    certificate there are others; the older ones stay until their last flow has left.
    """

    def __init__(
        self, loop: EventLoop, site: str, pools: Pools, on_unused: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._site = site
        self._pools = pools
        self._on_unused = on_unused
        self._bundles: list[IngressBundle] = []
        self._attempt: _Attempt | None = None
        self._siblings = Siblings(loop)
        self._turn = 0

    @property
    def wanted(self) -> int:
        """Return how many bundles new flows are to go on."""
        return self._siblings.wanted

    @property
    def channels(self) -> Pool:
        """Return where channels come from; one that has given some stays until it has them back."""
        return self._pools.pool(self._site)

    @property
    def bundles(self) -> tuple[IngressBundle, ...]:
        """Return those that there are, the oldest first."""
        return tuple(self._bundles)

    @property
    def size(self) -> int:
        """Return how many bundles there are, each of which has a channel."""
        return len(self._bundles)

    @property
    def flows(self) -> int:
        """Return how many flows are on them."""
        return sum(map(len, self._bundles))

    def take(self) -> Subchannel | None:
        """Return a subchannel at once, or None. Whoever has it leaves it in the end, also if it was
        lost."""
        bundle = self._choose()
        return None if bundle is None else bundle.open(UNUSED)

    def _choose(self) -> IngressBundle | None:
        channels, wanted = self._pools.pool(self._site), self._siblings.wanted
        if len(self._bundles) >= wanted:
            self._turn = (self._turn + 1) % wanted
            bundle = self._bundles[self._turn]
            if bundle.gets_on and bundle.is_usable and channels.is_current(bundle.channel):
                return bundle  # as nearly always
        fitting = [
            each for each in self._bundles if each.is_usable and channels.is_current(each.channel)
        ]
        if len(fitting) < wanted and all(map(len, fitting)):
            fitting += self._add()
        if not fitting:
            # One along another path is better than to wait for a new one, but no dearer one is.
            fitting = [
                each for each in self._bundles if each.is_usable and channels.may_use(each.channel)
            ]
        return self._next_of(fitting[:wanted])

    def _add(self) -> list[IngressBundle]:
        """Make one more bundle, if a channel is ready for it; return it."""
        channel = self.channels.take()
        made = None if channel is None else self._begin(channel)
        return [] if made is None else [made]

    def _next_of(self, bundles: list[IngressBundle]) -> IngressBundle | None:
        """Return the one whose turn it is, but for those on which a flow would have to wait."""
        if len(bundles) < 2:
            return bundles[0] if bundles else None
        self._turn = (self._turn + 1) % len(bundles)
        in_turns = bundles[self._turn :] + bundles[: self._turn]
        return next((each for each in in_turns if each.gets_on), in_turns[0])

    def _widen(self) -> None:
        """Have another bundle by which one can be got round, as soon as there should be two."""
        if self.wanted > 1 and self.size == 1:
            self._add()

    async def acquire(self, patience: float = math.inf) -> Subchannel:
        """Return a subchannel, of a new bundle if need be; as `Pool.acquire`."""
        while (subchannel := self.take()) is None:
            attempt = self._attempt
            if attempt is None:
                attempt = await self._make(patience)
            else:
                await attempt.is_over.wait()
                if attempt.failure is not None:
                    raise type(attempt.failure)(str(attempt.failure))
            # Whoever waited has it, though it may have been led along a dearer path.
            if attempt.bundle is not None and attempt.bundle.is_usable:
                return attempt.bundle.open(UNUSED)
        return subchannel

    def distrust(self, neighbor: str) -> None:
        """Open no flow on a bundle over a neighbour any more that there is now."""
        for bundle in self._bundles:
            if bundle.channel.neighbor == neighbor:
                bundle.retire()
        self.channels.distrust(neighbor)

    def trim(self, now: float, lifetime: float) -> None:
        """Close what has carried nothing for so many seconds."""
        for bundle in list(self._bundles):
            if not len(bundle) and now - bundle.unused_since > lifetime:
                self._end(bundle)

    def review(self) -> None:
        """Close what carries nothing and is no longer what new flows go on."""
        for bundle in list(self._bundles):
            self._was_left(bundle)

    async def _make(self, patience: float) -> _Attempt:
        """Make one more bundle, for all who wait."""
        attempt = self._attempt = _Attempt()
        try:
            attempt.bundle = self._begin(await self.channels.acquire(patience))
        except RemoteError as exc:
            attempt.failure = exc
            raise
        finally:
            self._attempt = None
            attempt.is_over.set()
            self._forget_if_unused()
        return attempt

    def _begin(self, channel: Channel) -> IngressBundle | None:
        """Make a bundle of a channel that was taken; return None if it is lost at once."""
        self._siblings.on_change = self._widen
        bundle = IngressBundle(
            self._loop,
            channel,
            secrets.token_bytes(16),
            self._siblings,
            on_left=self._was_left,
            on_lost=self._forget,
        )
        self._bundles.append(bundle)
        bundle.start()
        return bundle if bundle.is_usable else None

    def _was_left(self, bundle: IngressBundle) -> None:
        """Close a bundle of which the last flow has left, unless new ones go on it."""
        if len(bundle) or bundle not in self._bundles:
            return
        if not bundle.is_usable or not self.channels.is_current(bundle.channel):
            self._loop.at_turn_end(partial(self._end_if_unused, bundle))

    def _end_if_unused(self, bundle: IngressBundle) -> None:
        if not len(bundle):
            self._end(bundle)

    def _end(self, bundle: IngressBundle) -> None:
        bundle.close()
        self._forget(bundle)

    def _forget(self, bundle: IngressBundle) -> None:
        if bundle in self._bundles:
            self._bundles.remove(bundle)
            self.channels.release(bundle.channel, is_clean=False)
            self._forget_if_unused()

    def _forget_if_unused(self) -> None:
        if not self._bundles:
            self._siblings.on_change = None  # a pool that is gone waits for no collector
            if self._attempt is None:
                self._on_unused()


class BundlePools:
    """Holds a pool of bundles for each site that flows go to."""

    def __init__(self, loop: EventLoop, pools: Pools) -> None:
        self._loop = loop
        self._pools = pools
        self._by_site: dict[str, BundlePool] = {}

    def pool(self, site: str) -> BundlePool:
        """Return the pool of a site, which begins empty."""
        found = self._by_site.get(site)
        if found is None:
            forget = partial(self._forget, site)
            found = self._by_site[site] = BundlePool(self._loop, site, self._pools, forget)
        return found

    def by_site(self) -> dict[str, tuple[IngressBundle, ...]]:
        """Return the bundles to each site to which there are any."""
        return {site: pool.bundles for site, pool in self._by_site.items() if pool.size}

    async def keep_trimmed(self) -> None:
        """Close what has been unused for long, until cancelled."""
        limits = self._loop.limits
        while True:
            await trio.sleep(limits.trim_interval)
            now = self._loop.clock()
            for pool in list(self._by_site.values()):
                pool.trim(now, limits.idle_lifetime)

    def review(self) -> None:
        """Close what carries nothing and is of no use, after paths, or our certificate, have
        changed, and the channels have followed that."""
        for pool in list(self._by_site.values()):
            pool.review()

    def _forget(self, site: str) -> None:
        self._by_site.pop(site, None)


Follow = Callable[[FlowName, Subchannel | None, Carrier], bool]
"""Has a flow go on elsewhere, and tells whether there is one of that name, with what it was opened
on if that is there still; may raise `RemoteProtocolError`, which ends the connection."""


class BundleAcceptor:
    """Serves bundles: each flow that is opened on one is handed on, and so is each that is moved
    to a channel, or back."""

    def __init__(self, loop: EventLoop, serve: Serve, follow: Follow) -> None:
        self._loop = loop
        self._serve = serve
        self._follow = follow
        self._bundles: dict[tuple[str, bytes], EgressBundle] = {}
        """By the key of the ingress, and what it calls them."""
        self._siblings: dict[str, Siblings] = {}
        """By the key of the ingress."""

    def by_site(self) -> dict[str, list[EgressBundle]]:
        """Return the bundles from each site from which there are any."""
        found: dict[str, list[EgressBundle]] = {}
        for bundle in self._bundles.values():
            found.setdefault(bundle.channel.site, []).append(bundle)
        return found

    def serve(self, channel: Channel, request: Bundle) -> None:
        """Serve one, for as long as its connection lives."""
        ingress = channel.peer.public_key_fingerprint
        key = (ingress, request.id)
        if key in self._bundles:
            raise RemoteProtocolError("there is a bundle with this id already")
        channel.pause()  # what follows are other frames
        siblings = self._siblings.get(ingress)
        if siblings is None:
            siblings = self._siblings[ingress] = Siblings(
                self._loop, partial(self._tell_width, ingress)
            )
        bundle = self._bundles[key] = EgressBundle(
            self._loop,
            channel,
            request.id,
            siblings,
            serve=self._serve,
            take_back=self._take_back,
            on_lost=partial(self._forget, key),
        )
        bundle.start()
        if siblings.wanted > 1:
            self._tell_width(ingress)
        self._loop.at_turn_end(channel.resume)

    def _tell_width(self, ingress: str) -> None:
        """Say how many bundles would be best for what this end sends: the ingress makes them."""
        siblings = self._siblings[ingress]
        if (bundle := siblings.newest) is not None:
            kind, payload = CODEC.encode_apart(Width(siblings.wanted))
            bundle.add(kind, 0, payload)

    def _forget(self, key: tuple[str, bytes]) -> None:
        ingress, _ = key
        del self._bundles[key]
        if not len(self._siblings[ingress]):
            del self._siblings[ingress]

    def carry(self, channel: Channel, request: Carry) -> None:
        """Have a flow go on on a channel, whose user is the same again afterwards."""
        if not self._carry(channel, request):
            channel.close()  # the flow has ended meanwhile, and what follows is of no use

    def _take_back(self, subchannel: Subchannel, request: Carry) -> None:
        if not self._carry(subchannel, request):
            subchannel.abort()

    def _carry(self, carrier: Carrier, request: Carry) -> bool:
        ingress = carrier.peer.public_key_fingerprint
        bundle = self._bundles.get((ingress, request.bundle))
        subchannel = None if bundle is None else bundle.flow(request.number)
        return self._follow((ingress, request.bundle, request.number), subchannel, carrier)
