"""A relay passes through as many sites as its hop limit says, and ends there."""

import pytest

from lab.network import network, wait_until
from van.errors import Unreachable
from van.wire.channel import Relay


async def test_relay_ends_where_its_hop_limit_is_used_up():
    async with network() as net:
        west, first, second, east = await net.line("west", "first", "second", "east")
        await wait_until(lambda: west.router.routes.next_hop("east") == "first", "there is a path")
        for each, hop in ((first, "second"), (second, "east")):
            await wait_until(lambda: each.router.routes.next_hop("east") == hop, "so it is here")  # noqa: B023 - called at once
        for limit, who in ((0, "first"), (1, "second")):
            with pytest.raises(Unreachable, match=f"site '{who}' can't relay: hop_limit"):
                await west.router.data.channels.dialer.relay_through(
                    "first", Relay(east.name, limit)
                )
        relayed, path = await west.router.data.channels.dialer.relay_through(
            "first", Relay(east.name, 2)
        )
        relayed.close()
        assert path == ("first", "second", "east")
