"""Pools grow with demand, shrink when idle, and never hand out a channel that is dead."""

import attrs
import pytest
import trio
import trio.testing

from lab.network import wait_until
from tests.router.ends import Ends, two_ends
from van.errors import LinkLost, RemoteError, Unreachable
from van.router.channels.channel import Channel
from van.router.channels.pool import NextHops, Pool
from van.router.channels.pools import Makers, Pools
from van.router.reactor import tls_io
from van.router.reactor.limits import Limits
from van.router.reactor.supervisor import Defects, Tasks
from van.wire.channel import Kind
from van.wire.framing import pack_header

LIMITS = Limits()
EOF_FRAME = pack_header(Kind.EOF, 0)
CHEAP, WAY_ROUND = ("west", "east", "far"), ("west", "east", "round", "far")
DEAR = {WAY_ROUND}
"""Paths beside which there are cheaper ones; what they are, each test says."""


class Maker:
    """Makes channels, or fails, or waits until it is let go."""

    def __init__(self, ends: Ends) -> None:
        self.ends = ends
        self.made: list[Channel] = []
        self.calls = 0
        self.standby_calls = 0
        self.standby_gate = trio.Event()
        self.standby_gate.set()
        self.under_way = 0
        self.most = 0
        self.failure = ""
        self.error: type[RemoteError] = Unreachable
        self.neighbor = "east"
        self.path: tuple[str, ...] = ()
        self.gate = trio.Event()
        self.gate.set()

    async def make_standby(self, site: str) -> Channel:
        self.standby_calls += 1
        await self.standby_gate.wait()
        channel = await self.ends.channel(neighbor="detour")
        self.made.append(channel)
        return channel

    async def make(self, site: str) -> Channel:
        self.calls += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
            if self.failure:
                raise self.error(self.failure)
            channel = await self.ends.channel(neighbor=self.neighbor)
            channel.path = self.path
        finally:
            self.under_way -= 1
        self.made.append(channel)
        return channel


@pytest.fixture
async def maker():
    async with two_ends() as ends:
        yield (it := Maker(ends))
        for each in it.made:
            each.close()


@pytest.fixture
async def pools(maker, nursery):
    tasks = Tasks(nursery, Defects())
    makers = Makers(maker.make, maker.make_standby, maker.make)
    it = Pools(makers, lambda path: path not in DEAR, LIMITS, tasks)
    tasks.start(it.keep_trimmed)
    return it


async def is_settled(pool):
    await wait_until(
        lambda: not pool.growing and not pool.is_growing_standby, "nothing is half made"
    )


async def test_a_pool_is_filled_to_its_minimum(pools):
    pools.want({"east": 2})
    await wait_until(lambda: pools.ready("east") == 2, "two are ready")
    assert pools.ready("elsewhere") == 0


async def test_a_flow_that_waits_gets_a_channel(pools):
    pool = pools.pool("east")
    channel = await pool.acquire()
    assert channel.is_open
    assert pool.in_use == 1
    pool.release(channel)
    assert pool.in_use == 0
    assert await pool.acquire() is channel


async def test_spares_grow_with_the_flows_in_use(pools):
    pool = pools.pool("east")
    taken = [await pool.acquire() for _ in range(12)]
    await wait_until(lambda: pool.size == 3, "a quarter as many are spare")
    for each in taken:
        pool.release(each)
    assert pool.size == 15


async def test_first_a_few_are_made_at_one_time(pools, maker, nursery):
    maker.gate = trio.Event()
    pool = pools.pool("east")
    for _ in range(LIMITS.max_growing):
        nursery.start_soon(pool.acquire)
    await wait_until(lambda: maker.under_way == LIMITS.min_growing, "some are under way")
    await trio.testing.wait_all_tasks_blocked()
    assert maker.most == LIMITS.min_growing


async def test_so_many_are_made_at_one_time_and_no_more(pools, maker, nursery):
    pool = pools.pool("east")
    for _ in range(LIMITS.max_growing):
        await pool.acquire()
    maker.gate = trio.Event()
    for _ in range(LIMITS.max_growing * 2):
        nursery.start_soon(pool.acquire)
    await wait_until(
        lambda: maker.under_way == LIMITS.max_growing, "as many as may be are under way"
    )
    await trio.testing.wait_all_tasks_blocked()
    maker.gate.set()
    await wait_until(lambda: pool.in_use == LIMITS.max_growing * 3, "everybody has one")
    await is_settled(pool)
    assert maker.most == LIMITS.max_growing


async def test_those_who_wait_are_told_why_no_channel_can_be_made(pools, maker):
    maker.failure = "no path to site 'east'"
    pool = pools.pool("east")
    for _ in range(3):
        with pytest.raises(Unreachable, match="no path"):
            await pool.acquire()
    assert pool.in_use == 0
    maker.failure = ""
    assert (await pool.acquire()).is_open


async def test_those_who_wait_are_told_when_the_path_was_lost_so_that_they_try_another(
    pools, maker
):
    maker.failure, maker.error = "the link was lost", LinkLost
    with pytest.raises(LinkLost, match="the link was lost"):
        await pools.pool("east").acquire()


async def test_after_a_failure_spares_are_tried_again(pools, maker, autojump_clock):
    maker.failure = "not now"
    pools.want({"east": 1})
    await wait_until(lambda: maker.calls >= 4, "it tries again and again")
    assert maker.calls < 10
    maker.failure = ""
    await wait_until(lambda: pools.ready("east") == 1, "it is ready")


async def test_nobody_waits_for_ever(pools, maker, autojump_clock):
    maker.gate = trio.Event()
    pool = pools.pool("east")
    with pytest.raises(Unreachable, match="in time"):
        await pool.acquire()
    assert not pool._waiting


async def test_who_stops_waiting_leaves_nothing_behind(pools, maker):
    maker.gate = trio.Event()
    pool = pools.pool("east")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.acquire)
        await wait_until(lambda: maker.under_way == 1, "one is under way")
        nursery.cancel_scope.cancel()
    assert not pool._waiting
    maker.gate.set()
    await wait_until(lambda: pool.size == 1, "what was made for him is kept")
    assert pool.in_use == 0


async def test_a_channel_that_dies_before_its_waiter_wakes_is_not_handed_out(pools, maker, nursery):
    maker.gate = trio.Event()
    pool = pools.pool("east")
    got = []

    async def acquire():
        got.append(await pool.acquire())

    nursery.start_soon(acquire)
    await wait_until(lambda: maker.under_way == 1, "it is under way")
    dead = await maker.ends.channel()
    pool.give(dead)
    dead.fail("connection closed")
    maker.gate.set()
    await wait_until(lambda: got, "another has come")
    assert got[0].is_open
    assert pool.in_use == 1


async def test_a_dead_idle_channel_is_replaced(pools, maker):
    pools.want({"east": 2})
    await wait_until(lambda: pools.ready("east") == 2, "two are ready")
    maker.ends.far[0].close()
    await wait_until(lambda: maker.calls == 3, "it was noticed")
    await wait_until(lambda: pools.ready("east") == 2, "two are ready again")


async def test_a_channel_that_is_not_clean_is_closed(pools):
    pool = pools.pool("east")
    channel = await pool.acquire()
    pool.release(channel, is_clean=False)
    assert not channel.is_open
    assert pool.size == 0


async def test_an_idle_channel_on_which_anything_comes_is_closed_and_no_other(pools, maker):
    pools.want({"east": 2})
    await wait_until(lambda: pools.ready("east") == 2, "two are ready")
    await tls_io.send_all(maker.ends.far[0], EOF_FRAME)
    await wait_until(lambda: not all(each.is_open for each in maker.made[:2]), "it is closed")
    assert [each.is_open for each in maker.made[:2]].count(True) == 1


async def test_a_channel_that_is_spoiled_already_is_not_kept(pools, maker):
    pool = pools.pool("east")
    channel = await maker.ends.channel()
    channel._inbox = EOF_FRAME
    pool.give(channel)
    assert not channel.is_open
    assert pool.size == 0


async def test_what_was_idle_for_long_is_closed_but_not_what_flows_in_use_call_for(
    pools,
):
    pool = pools.pool("east")
    taken = [await pool.acquire() for _ in range(8)]
    for each in taken[:4]:
        pool.release(each)
    await wait_until(lambda: pool.size >= 4, "four are idle")
    now = max(each.became_idle for each in pool._idle)
    pool.trim(now + LIMITS.idle_lifetime + 1)
    assert pool.size == 1, "a quarter of the four in use"
    for each in taken[4:]:
        pool.release(each)
    pool.trim(now + 3 * LIMITS.idle_lifetime)
    assert pool.size == 0


async def test_a_pool_that_nobody_needs_goes(pools, maker, autojump_clock):
    pool = pools.pool("east")
    pool.limits = attrs.evolve(LIMITS, idle_lifetime=-1.0)
    pool.release(await pool.acquire())
    await wait_until(lambda: not pools._pools, "the pool is gone")
    assert not any(each.is_open for each in maker.made)
    again = await pools.pool("east").acquire()
    assert again.is_open


async def test_a_channel_of_an_older_certificate_is_not_used_again(pools):
    pools.want({"east": 1})
    pool = pools.pool("east")
    await wait_until(lambda: pool.size >= 1, "one is ready")
    in_use = await pool.acquire()
    await wait_until(lambda: pool.size >= 1, "one is ready")
    idle = pool._idle[0]
    pools.renew()
    assert not idle.is_open
    assert in_use.is_open, "its flow goes on"
    pool.release(in_use)
    assert not in_use.is_open
    fresh = await pool.acquire()
    assert fresh not in (idle, in_use)


async def test_a_channel_that_was_begun_with_an_older_certificate_is_made_again(pools, maker):
    maker.gate = trio.Event()
    pools.want({"east": 1})
    await wait_until(lambda: maker.under_way == 1, "one is under way")
    pools.renew()
    maker.gate.set()
    await wait_until(lambda: pools.ready("east") == 1, "one is ready")
    assert [each.is_open for each in maker.made] == [False, True]


async def test_idle_channels_along_another_path_are_closed_and_made_anew(pools, maker):
    pools.want({"east": 1})
    await wait_until(lambda: pools.ready("east") == 1, "one is ready")
    pools.reroute({"east": NextHops("east")})
    assert maker.made[0].is_open
    maker.neighbor = "hub"
    pools.reroute({"east": NextHops("hub")})
    assert not maker.made[0].is_open
    await wait_until(lambda: pools.ready("east") == 1, "one is ready again")
    assert maker.made[1].neighbor == "hub"


async def test_a_channel_along_another_path_takes_over_at_once(pools, maker):
    pools.want({"east": 1})
    pools.reroute({"east": NextHops("east", "detour")})
    await wait_until(lambda: len(maker.made) == 2, "there is one along each path")
    best, standby = maker.made
    pool = pools.pool("east")
    assert pool.size == 1
    maker.gate = trio.Event()  # the best path is lost, and no channel can be made for now
    best.fail("its link was lost")
    taken = pool.take()
    assert taken is standby
    pools.reroute({"east": NextHops("detour")})
    pool.release(taken)
    assert standby.is_open
    assert pool.size == 1


@pytest.fixture
async def pool(pools, maker):
    """A pool with a channel along the best path, and a reserve along a detour."""
    pools.want({"east": 1})
    pools.reroute({"east": NextHops("east", "detour")})
    await wait_until(lambda: len(maker.made) == 2, "there is one along each path")
    return pools.pool("east")


async def take_many(pool, count):
    """Return the channels that a burst of flows gets."""
    taken = []

    async def take():
        taken.append(pool.take() or await pool.acquire())

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(take)
    await is_settled(pool)
    return taken


async def test_a_burst_does_not_take_the_reserve_while_the_best_path_is_well(pool, maker):
    taken = await take_many(pool, 30)
    assert {each.neighbor for each in taken} == {"east"}
    for each in taken:
        pool.release(each)
    assert pool._standby is maker.made[1]
    assert maker.standby_calls == 1


async def test_a_flow_that_waits_does_not_get_the_reserve_that_comes_meanwhile(pools, maker):
    maker.standby_gate = trio.Event()
    pools.want({"east": 1})
    pools.reroute({"east": NextHops("east", "detour")})
    await wait_until(lambda: maker.standby_calls == 1 and pools.ready("east") == 1, "one is ready")
    maker.gate = trio.Event()
    pool, got = pools.pool("east"), []
    first = pool.take()

    async def acquire():
        got.append(await pool.acquire())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(acquire)
        await wait_until(lambda: pool.is_waited_for, "a flow waits")
        maker.standby_gate.set()
        await wait_until(lambda: pool._standby is not None, "the reserve is there")
        assert not got
        pool.release(first)
    assert got == [first]


async def test_the_reserve_is_used_when_no_channel_can_be_made_along_the_best_path(pool, maker):
    best, standby = maker.made
    assert pool.take() is best
    maker.failure = "nobody answers"
    with pytest.raises(Unreachable):
        await pool.acquire()
    assert pool.take() is standby
    maker.failure = ""
    await wait_until(lambda: pool.size == 1, "a channel was made again")
    pool.release(standby)
    assert {each.neighbor for each in await take_many(pool, 4)} == {"east"}


async def test_one_of_several_channels_that_is_lost_does_not_speak_against_the_path(pools, maker):
    pools.want({"east": 2})
    pools.reroute({"east": NextHops("east", "detour")})
    await wait_until(lambda: len(maker.made) == 3, "all are there")
    pool = pools.pool("east")
    pool._idle[0].fail("connection reset")
    assert {each.neighbor for each in await take_many(pool, 3)} == {"east"}


async def test_flows_leave_the_reserve_at_once_when_the_best_path_is_back(pool, pools, maker):
    best, standby = maker.made
    best.fail("its link was lost")
    pools.reroute({"east": NextHops("detour")})
    maker.neighbor = "detour"
    on_detour = await take_many(pool, 3)
    assert standby in on_detour
    pool.release(on_detour.pop())
    maker.neighbor = "east"
    pools.reroute({"east": NextHops("east", "detour")})
    assert {each.neighbor for each in await take_many(pool, 3)} == {"east"}
    for each in on_detour:
        pool.release(each)
    assert {each.neighbor for each in await take_many(pool, 3)} == {"east"}


async def test_a_channel_made_while_the_best_path_came_back_is_for_no_flow(pool, pools, maker):
    pools.reroute({"east": NextHops("detour")})
    maker.neighbor, maker.gate = "detour", trio.Event()
    got = []

    async def acquire():
        got.append(await pool.acquire())

    pool.take()  # the reserve, which is the best now
    async with trio.open_nursery() as nursery:
        nursery.start_soon(acquire)
        await wait_until(lambda: maker.under_way, "it is being made")
        pools.reroute({"east": NextHops("east", "detour")})
        maker.neighbor = "east"
        maker.gate.set()
    assert [each.neighbor for each in got] == ["east"]
    await is_settled(pool)


async def test_channels_whose_path_has_become_dear_further_on_are_closed(pools, maker):
    maker.path = WAY_ROUND
    DEAR.clear()  # it is the only one
    try:
        pools.want({"east": 1})
        pools.reroute({"east": NextHops("east")})
        await wait_until(lambda: pools.ready("east") == 1, "one is ready")
        in_use = pools.pool("east").take()
        await wait_until(lambda: pools.ready("east") == 1, "one is ready")
        idle = pools.pool("east")._idle[0]
    finally:
        DEAR.add(WAY_ROUND)
    maker.path = CHEAP
    pools.reroute({"east": NextHops("east")})
    assert not idle.is_open
    assert in_use.is_open, "its flow goes on"
    pools.pool("east").release(in_use)
    assert not in_use.is_open
    assert (await pools.pool("east").acquire()).path == CHEAP


async def test_a_channel_that_others_led_along_a_dear_path_serves_one_flow_and_is_not_kept(
    pools, maker, autojump_clock
):
    maker.path = WAY_ROUND
    pools.want({"east": 1})
    pools.reroute({"east": NextHops("east")})
    await wait_until(lambda: maker.calls >= 3, "it is tried again and again")
    assert maker.calls < 10
    assert pools.ready("east") == 0
    channel = await pools.pool("east").acquire()
    assert channel.path == WAY_ROUND
    pools.pool("east").release(channel)
    assert not channel.is_open
    maker.path = CHEAP
    await wait_until(lambda: pools.ready("east") == 1, "one is ready")


async def test_no_reserve_is_kept_where_there_is_no_second_path_any_more(pool, pools, maker):
    pools.reroute({"east": NextHops("east")})
    assert not maker.made[1].is_open
    assert maker.standby_calls == 1


def test_a_pool_that_has_all_it_wants_is_short_of_nothing():
    pool = Pool("east", LIMITS, bool, minimum=2, growing=2)
    assert pool.shortage == 0
    pool.growing = 1
    assert pool.shortage == 1


async def test_a_second_channel_made_with_an_old_certificate_is_not_kept(pools, maker):
    maker.standby_gate = trio.Event()
    pools.want({"east": 1})
    pools.reroute({"east": NextHops("east", "detour")})
    await wait_until(lambda: maker.standby_calls == 1, "it is being made")
    pools.renew()
    maker.standby_gate.set()
    await wait_until(lambda: maker.standby_calls == 2, "another one is made")
    stale = next(each for each in maker.made if each.neighbor == "detour")
    assert not stale.is_open


async def test_spares_take_turns_and_no_flow_waits_for_those_in_front_of_it(pools, maker):
    maker.gate = trio.Event()
    sites = [f"s{number}" for number in range(LIMITS.max_spare_making + 1)]
    pools.want(dict.fromkeys(sites, 1))
    await wait_until(lambda: maker.under_way == LIMITS.max_spare_making, "some are under way")
    await trio.testing.wait_all_tasks_blocked()
    assert maker.calls == LIMITS.max_spare_making
    (late,) = [site for site in sites if pools.pool(site).queued]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pools.pool(late).acquire)
        await wait_until(
            lambda: maker.calls == LIMITS.max_spare_making + 1, "one more is made for it"
        )
        maker.gate.set()
    await wait_until(lambda: all(map(pools.ready, sites)), "all have a spare in the end")
