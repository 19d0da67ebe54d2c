"""Pools of idle channels, one for each site that this site sends flows to.

Taking a channel from a pool costs no handshake and no round trip. A pool grows with demand, keeps
a few channels spare, and shrinks when it is idle.
"""

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
import trio

from van.errors import HostError, LinkLost, RemoteError, RemoteProtocolError, Unreachable
from van.router.channel import Channel
from van.wire.framing import Message

logger = logging.getLogger(__name__)

ACQUIRE_TIMEOUT: Final = 8.0
"""Seconds that a flow waits for a channel before it is offered elsewhere."""
NEIGHBOR_SPARES: Final = 2
"""Idle channels kept to each neighbour: one for a flow, and one for a relay behind it."""
REMOTE_SPARES: Final = 2
"""Idle channels kept to a site further away that serves what is bound here."""
MAX_SPARES: Final = 64
MAX_GROWING: Final = 16
"""Channels to one site that are made at the same time; more would only share one processor."""
MIN_GROWING: Final = 2
"""The same while there is none yet."""
IDLE_LIFETIME: Final = 30.0
"""Seconds after which a channel that nobody needed is closed."""
TRIM_INTERVAL: Final = 5.0
MIN_RETRY: Final = 0.2
MAX_RETRY: Final = 3.0

MakeChannel = Callable[[str], Awaitable[Channel]]


@attrs.define(eq=False)
class _Waiter:
    channel: Channel | None = None
    failure: RemoteError | None = None
    ready: trio.Event = attrs.field(factory=trio.Event)


@attrs.define(eq=False)
class Pool:
    """Idle channels to one site; also their user, which expects no frames at all."""

    site: str
    minimum: int = 0
    epoch: int = 0
    """Counts our certificates: a channel made with an older one is not used again."""
    in_use: int = 0
    growing: int = 0
    retry_delay: float = 0.0
    """Seconds that the filler rested after the last failure; 0 after a success."""
    is_resting: bool = False
    """Whether channels are made only for flows that wait, because the last attempt failed."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Around the task that fills the pool."""
    _idle: list[Channel] = attrs.field(factory=list)
    _waiting: deque[_Waiter] = attrs.field(factory=deque)
    _short: trio.Event = attrs.field(factory=trio.Event)

    @property
    def size(self) -> int:
        """Return how many idle channels are ready."""
        return len(self._idle)

    @property
    def spares(self) -> int:
        """Return how many idle channels should be ready."""
        return max(self.minimum, min(self.in_use // 4, MAX_SPARES))

    @property
    def shortage(self) -> int:
        """Return how many more channels should be made now."""
        if self._waiting or not self.is_resting:
            wanted = max(self.spares - self.size, len(self._waiting)) - self.growing
            return max(0, min(wanted, self._may_grow - self.growing))
        return 0

    @property
    def _may_grow(self) -> int:
        """Return how many channels may be made at one time: few at first, and more the more there
        are. When a path is new, the first channel is there sooner if it need not share the
        processors of every site on the path with others; then it may well be enough."""
        return min(MAX_GROWING, max(MIN_GROWING, self.size + self.in_use))

    @property
    def is_wanted(self) -> bool:
        """Tell whether anything still needs this pool."""
        return bool(self.minimum or self.in_use or self.growing or self._waiting or self._idle)

    def take(self) -> Channel | None:
        """Return a ready channel at once, or None. It must be given back with `release`."""
        while self._idle:
            channel = self._idle.pop()
            if channel.is_open:
                self.in_use += 1
                self.check()
                return channel
        self.check()
        return None

    async def acquire(self) -> Channel:
        """Return a channel, made if need be.

        Raises `LinkLost` when the path was lost meanwhile, and may be another one by now, and
        `Unreachable` when no channel can be made for any other reason.
        """
        with trio.move_on_after(ACQUIRE_TIMEOUT):
            while True:
                channel = self.take() or await self._wait()
                if channel.is_open:
                    return channel
                self.release(channel)  # it was lost before this task had its turn
        raise Unreachable(f"no channel to site {self.site!r} in time")

    async def _wait(self) -> Channel:
        """Return the channel that is made next for a task that waits; raise as `acquire` does."""
        waiter = _Waiter()
        self._waiting.append(waiter)
        self.check()
        try:
            await waiter.ready.wait()
        except trio.Cancelled:
            self._waiting.remove(waiter)
            raise
        if waiter.failure is not None:
            raise waiter.failure
        assert waiter.channel is not None
        return waiter.channel

    def give(self, channel: Channel) -> None:
        """Take in a new channel, or one that is clean again."""
        channel.user = self
        channel.resume()
        if channel.epoch != self.epoch:
            channel.close()
        if not channel.is_open:
            return
        self.retry_delay = 0.0
        if self._waiting:
            waiter = self._waiting.popleft()
            self.in_use += 1
            waiter.channel = channel
            waiter.ready.set()
            return
        channel.became_idle = time.monotonic()
        self._idle.append(channel)

    def release(self, channel: Channel, *, is_clean: bool = True) -> None:
        """Give back a channel that was taken, or report that it is used up."""
        self.in_use -= 1
        if not is_clean:
            channel.close()
        elif channel.is_open:
            self.give(channel)
        self.check()

    def fail(self, reason: str, *, is_path_lost: bool = False) -> bool:
        """Tell all who wait that no channel can be made now; tell whether to begin a rest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            waiter.failure = LinkLost(reason) if is_path_lost else Unreachable(reason)
            waiter.ready.set()
        was_resting, self.is_resting = self.is_resting, True
        return not was_resting

    def drop_idle(self, *, unless_via: str | None = None) -> None:
        """Close the idle channels, but keep those that run over the given neighbour's link."""
        kept = []
        for channel in self._idle:
            if unless_via is not None and channel.neighbor == unless_via:
                kept.append(channel)
            else:
                channel.close()
        self._idle = kept
        self.check()

    def trim(self, now: float) -> None:
        """Close channels that have been idle for long, the longest idle first."""
        while self.size > self.spares and now - self._idle[0].became_idle > IDLE_LIFETIME:
            self._idle.pop(0).close()

    def check(self) -> None:
        """Wake the filler when there is something to make."""
        if self.shortage:
            self._short.set()

    async def short(self) -> None:
        """Wait until there is a shortage."""
        while not self.shortage:
            self._short = trio.Event()
            await self._short.wait()

    # -- the user of idle channels -------------------------------------------------------------

    def receive_data(self, data: memoryview) -> None:
        """Refuse bytes: an idle channel carries none toward its ingress."""
        raise RemoteProtocolError("data came on an idle channel")

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Refuse frames: an idle channel carries none toward its ingress."""
        raise RemoteProtocolError(f"frame of kind {kind} came on an idle channel")

    def channel_writable(self) -> None:
        """Do nothing: an idle channel has sent everything that matters."""

    def channel_lost(self, reason: str) -> None:
        """Forget channels that have closed."""
        self._idle = [channel for channel in self._idle if channel.is_open]
        self.check()


class Pools:
    """All pools of a router, and the tasks that fill and trim them."""

    def __init__(self, make_channel: MakeChannel) -> None:
        self._make_channel = make_channel
        self._epoch = 0
        self._pools: dict[str, Pool] = {}
        self._nursery: trio.Nursery | None = None

    def pool(self, site: str) -> Pool:
        """Return the pool of a site, which begins empty."""
        pool = self._pools.get(site)
        if pool is None:
            pool = self._pools[site] = Pool(site, epoch=self._epoch)
            if self._nursery is None:
                raise RuntimeError("the pools are not running")
            self._nursery.start_soon(self._fill, pool)
        return pool

    def ready(self, site: str) -> int:
        """Return how many idle channels to a site are ready."""
        pool = self._pools.get(site)
        return pool.size if pool else 0

    def want(self, minimums: dict[str, int]) -> None:
        """Keep this many channels ready to these sites, and none to others."""
        for site, pool in self._pools.items():
            pool.minimum = minimums.get(site, 0)
        for site, minimum in minimums.items():
            pool = self.pool(site)
            pool.minimum = minimum
            pool.check()

    def renew(self) -> None:
        """Make every channel anew before its next flow, because our certificate has changed."""
        self._epoch += 1
        for pool in self._pools.values():
            pool.epoch = self._epoch
            pool.drop_idle()

    def reroute(self, next_hops: dict[str, str]) -> None:
        """Close idle channels that no longer run along the best path."""
        for site, pool in self._pools.items():
            pool.drop_idle(unless_via=next_hops.get(site))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Fill and trim the pools until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            while True:
                await trio.sleep(TRIM_INTERVAL)
                self._trim(time.monotonic())

    def _trim(self, now: float) -> None:
        for pool in list(self._pools.values()):
            pool.trim(now)
            if not pool.is_wanted:  # sites come and go, and each pool has a task
                del self._pools[pool.site]
                pool.scope.cancel()

    async def _fill(self, pool: Pool) -> None:
        with pool.scope:
            await self._keep_filled(pool)

    async def _keep_filled(self, pool: Pool) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                await pool.short()
                for _ in range(pool.shortage):
                    pool.growing += 1
                    nursery.start_soon(self._grow, pool)

    async def _grow(self, pool: Pool) -> None:
        epoch = self._epoch
        try:
            channel = await self._make_channel(pool.site)
            channel.epoch = epoch
            pool.give(channel)
        except (RemoteError, HostError) as exc:
            logger.debug("no channel to %s: %s", pool.site, exc)
            is_first = pool.fail(str(exc), is_path_lost=isinstance(exc, LinkLost))
        except Exception:
            # A defect that one site can reach must not end the links and flows of the others.
            logger.exception("no channel to %s", pool.site)
            is_first = pool.fail("a defect, see the log")
        else:
            is_first = False
        finally:
            pool.growing -= 1
        if is_first:
            pool.retry_delay = min(MAX_RETRY, max(MIN_RETRY, pool.retry_delay * 2))
            await trio.sleep(pool.retry_delay)
            pool.is_resting = False
        pool.check()
