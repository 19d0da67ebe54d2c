"""A site that can't dial its neighbour asks for channels, and knows when none will come."""

import pytest

from lab.network import network, wait_until
from van.control import endpoints as api
from van.errors import LinkLost


async def test_a_channel_that_was_asked_for_is_given_up_with_the_link() -> None:
    async with network() as net:
        hub, west = await net.line("hub", "west")
        await wait_until(
            lambda: hub.router.data.channels.pools.ready("west") == 2, "spares are ready"
        )
        west.scope.cancel()
        # The link is still up at the hub, and the request will never be answered.
        with pytest.raises(LinkLost, match="lost"):
            await hub.router.data.channels.dialer.make("west")


async def test_no_channel_is_asked_for_without_a_link() -> None:
    async with network() as net:
        hub, west = await net.line("hub", "west")
        west.scope.cancel()
        await wait_until(lambda: not hub.router.links.up, "the link is lost")
        with pytest.raises(LinkLost, match="no link"):
            await hub.router.data.channels.dialer.requested.make("west")


async def test_what_is_kept_of_a_neighbour_goes_with_it() -> None:
    async with network() as net:
        hub, west = await net.line("hub", "west")
        data = hub.router.data.channels
        await wait_until(lambda: data.pools.ready("west") == 2, "spares are ready")
        assert not data.dialer.requested._expected
        assert data.table._by_neighbor.keys() == {"west"}
        await west.ask(api.DELETE_LINK, None, site="hub")
        await wait_until(lambda: not data.table._by_neighbor, "no channel is left")
