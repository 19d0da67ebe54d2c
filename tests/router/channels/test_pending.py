"""What is under way over a link is given up when the link is lost, and nothing else is."""

import pytest
import trio
import trio.testing

from lab.network import network, wait_until
from van.errors import LinkLost
from van.router.channels.pending import PendingSetups


async def test_what_waits_over_a_lost_link_is_given_up_at_once():
    setups = PendingSetups()

    async def wait_over(neighbor, outcomes):
        with pytest.raises(LinkLost, match=neighbor), setups.over(neighbor):
            await trio.sleep_forever()
        outcomes.append(neighbor)

    outcomes: list[str] = []
    async with trio.open_nursery() as nursery:
        for neighbor in ("hub", "hub", "other"):
            nursery.start_soon(wait_over, neighbor, outcomes)
        await trio.testing.wait_all_tasks_blocked()
        setups.link_lost("hub")
        await trio.testing.wait_all_tasks_blocked()
        assert outcomes == ["hub", "hub"]
        setups.link_lost("other")


async def test_what_is_done_is_not_given_up_later():
    setups = PendingSetups()
    with setups.over("hub"):
        await trio.lowlevel.checkpoint()
    setups.link_lost("hub")
    with setups.over("hub"):
        await trio.lowlevel.checkpoint()


async def test_a_channel_that_gets_no_answer_is_given_up_with_the_link_it_needs(monkeypatch):
    async with network() as net:
        west, hub, _ = await net.line("west", "hub", "east")
        await wait_until(lambda: west.router.routes.next_hop("east") == "hub", "there is a path")
        await wait_until(
            lambda: hub.router.routes.next_hop("east") == "east", "the hub knows it too"
        )
        asked = trio.Event()

        async def never(*args):
            asked.set()
            await trio.sleep_forever()

        monkeypatch.setattr(hub.router.data.forwarding.relays, "pass_on", never)
        async with trio.open_nursery() as nursery:

            async def make():
                with pytest.raises(LinkLost):
                    await west.router.data.channels.dialer.make("east")

            nursery.start_soon(make)
            await asked.wait()
            with trio.fail_after(1.0):
                west.router.links.table.break_off("hub", "silent for 1.0 s")
                while nursery.child_tasks:
                    await trio.sleep(0.01)
