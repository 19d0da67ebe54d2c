"""All pools of a router, and the tasks that fill and trim them."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import attrs
import trio

from van.errors import HostError, LinkLost, RemoteError
from van.router.channels.channel import Channel
from van.router.channels.pool import IsBest, NextHops, Pool
from van.router.reactor.limits import Limits
from van.router.reactor.supervisor import Tasks

logger = logging.getLogger(__name__)


MakeChannel = Callable[[str], Awaitable[Channel]]


@attrs.frozen
class Makers:
    """How channels to a site are made; each may raise `RemoteError`."""

    best: MakeChannel
    """Along the best path, or, if that is not well, along another one."""
    standby: MakeChannel
    """Along another path than the best."""
    probe: MakeChannel
    """Along the best path and no other: to see whether that is well again."""


class Pools:
    """Holds a pool for each site, and fills it.

    In trio's thread only; the tasks that fill belong to `tasks`, and end with them. First tell with
    `reroute` what paths there are, then with `want` which sites to keep ready; other pools come
    with the first flow to a site, and go when nothing needs them any more.
    """

    def __init__(self, makers: Makers, is_best_path: IsBest, limits: Limits, tasks: Tasks) -> None:
        """`is_best_path` judges where a channel runs."""
        self._makers = makers
        self._is_best_path = is_best_path
        self._limits = limits
        self._epoch = 0
        self._spare_making = trio.Semaphore(limits.max_spare_making)
        self._pools: dict[str, Pool] = {}
        self._next_hops: Mapping[str, NextHops] = {}
        self._tasks = tasks

    def pool(self, site: str) -> Pool:
        """Return the pool of a site, which begins empty."""
        pool = self._pools.get(site)
        if pool is None:
            hops = self._next_hops.get(site)
            pool = Pool(site, self._limits, self._is_best_path, epoch=self._epoch, hops=hops)
            self._pools[site] = pool
            self._tasks.start(self._fill, pool)
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

    def reroute(self, next_hops: Mapping[str, NextHops]) -> None:
        """Close idle channels that do not run along one of the paths to their sites."""
        self._next_hops = next_hops
        for site, pool in self._pools.items():
            pool.reroute(next_hops.get(site))

    async def keep_trimmed(self) -> None:
        """Close what has been idle for long, until cancelled."""
        while True:
            await trio.sleep(self._limits.trim_interval)
            self._trim(trio.current_time())

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
                if pool.needs_standby:
                    pool.is_growing_standby = True
                    nursery.start_soon(self._grow_standby, pool)

    async def _grow(self, pool: Pool) -> None:
        rests = is_probe = False

        def fail(reason: str, *, is_path_lost: bool = False) -> None:
            nonlocal rests
            # A look whether the path is well again is for no flow, and tells nobody that waits.
            rests = (
                pool.rest()
                if is_probe
                else pool.fail(reason, next_hop=next_hop, is_path_lost=is_path_lost)
            )

        epoch, next_hop = self._epoch, pool.next_hop
        try:
            with self._tasks.defects.contain("a channel to %s", pool.site, end=fail):
                try:
                    async with self._turn(pool):
                        next_hop = pool.next_hop
                        channel = None
                        if not pool.is_growing_too_fast:
                            is_probe = not pool.is_waited_for and not pool.is_path_well
                            channel = await self._make(pool, is_probe=is_probe)
                    if channel is not None:
                        channel.epoch = epoch
                        rests = pool.add(channel, next_hop=next_hop)
                except (RemoteError, HostError) as exc:
                    logger.debug("no channel to %s: %s", pool.site, exc)
                    fail(str(exc), is_path_lost=isinstance(exc, LinkLost))
        finally:
            pool.growing -= 1
        if rests:
            pool.retry_delay = min(
                self._limits.max_channel_retry,
                max(self._limits.min_channel_retry, pool.retry_delay * 2),
            )
            await trio.sleep(pool.retry_delay)
            pool.is_resting = False
        pool.check()

    async def _make(self, pool: Pool, *, is_probe: bool) -> Channel:
        if not is_probe:
            return await self._makers.best(pool.site)
        pool.probing += 1
        try:
            return await self._makers.probe(pool.site)
        finally:
            pool.probing -= 1

    @asynccontextmanager
    async def _turn(self, pool: Pool) -> AsyncIterator[None]:
        """Wait for a turn, unless a flow waits for a channel."""
        if pool.is_waited_for:
            yield
            return
        pool.queued += 1
        try:
            await self._spare_making.acquire()
        finally:
            pool.queued -= 1
        try:
            yield
        finally:
            self._spare_making.release()

    async def _grow_standby(self, pool: Pool) -> None:
        epoch, is_made = self._epoch, False
        try:
            with self._tasks.defects.contain("a second channel to %s", pool.site):
                try:
                    async with self._spare_making:
                        channel = await self._makers.standby(pool.site)
                    channel.epoch = epoch
                    pool.give(channel)
                    is_made = True
                except (RemoteError, HostError) as exc:
                    logger.debug("no second channel to %s: %s", pool.site, exc)
            if not is_made:
                await trio.sleep(self._limits.max_channel_retry)
        finally:
            pool.is_growing_standby = False
        pool.check()
