"""Nobody takes flows away from other sites by a slip of a name."""

import contextlib

import pytest

from lab.network import network, wait_until
from van.control import endpoints as api
from van.control.values.attachments import ConnectorSpec
from van.errors import AlreadyExists
from van.wire.lsa import Distribution

DB = "db:5432"


@contextlib.asynccontextmanager
async def served(**terms):
    """Lend a laptop in a network where dbhost serves an address."""
    async with network() as net:
        dbhost, laptop = await net.line("dbhost", "laptop")
        dbhost.claim(DB, 9, **terms)
        knows = laptop.router.routes
        await wait_until(lambda: ("tcp", DB) in knows.fib.services, "the laptop knows of it")
        yield dbhost, laptop


async def expose(site, **terms):
    spec = ConnectorSpec(**{"address": DB, "target": "127.0.0.1:9", "join": False, **terms})
    return await site.ask(api.EXPOSE, spec)


async def served_at(site):
    status = await site.ask(api.STATUS)
    return next(each.served_at for each in status.addresses if each.address == DB)


async def test_an_address_that_another_site_serves_is_not_taken_over_by_a_slip():
    async with served() as (dbhost, laptop):
        wanted = r"tcp db:5432 is served at site 'dbhost' already.*about 50 %.*use --join"
        with pytest.raises(AlreadyExists, match=wanted):
            await expose(laptop)
        assert await served_at(laptop) == await served_at(dbhost) == ("dbhost",)
        assert not (await laptop.ask(api.STATUS)).connectors


async def test_who_says_so_serves_it_too_and_is_told_what_comes():
    async with served() as (_, laptop):
        created = await expose(laptop, join=True, weight=3)
        assert "served at site 'dbhost' too: here comes about 75 % of the new flows" in (
            created.detail
        )


async def test_who_serves_it_already_need_not_ask_again():
    async with served() as (_, laptop):
        await expose(laptop, join=True)
        await expose(laptop, target="127.0.0.1:10")


@pytest.mark.parametrize(
    ("theirs", "ours", "share"),
    [
        ({"weight": 9}, {}, "about 10 %"),
        ({"precedence": 50}, {}, "all new flows, as its precedence is higher"),
        ({}, {"distribution": "multicast"}, "about 50 %"),
        ({}, {"distribution": "closest", "weight": 1000}, "about 100 %"),
    ],
)
async def test_what_share_it_would_take_is_said(theirs, ours, share):
    async with served(**theirs) as (_, laptop):
        with pytest.raises(AlreadyExists, match=share):
            await expose(laptop, **ours)


async def test_a_reserve_takes_nothing_and_may_be_added():
    async with served() as (_, laptop):
        created = await expose(laptop, precedence=50)
        assert "no flows while one of a higher precedence is left" in created.detail


async def test_another_copy_of_multicast_takes_nothing_from_others():
    async with served(distribution=Distribution.MULTICAST) as (_, laptop):
        await expose(laptop, distribution="multicast")


async def test_another_protocol_is_another_address():
    async with served() as (_, laptop):
        await expose(laptop, protocol="udp")
