"""Of several addresses, those that lead nowhere hold nobody up."""

import contextlib
import socket
from collections.abc import Iterator

import attrs
import pytest
import trio

from lab.network import Network, Site, network, wait_until
from van.names import Endpoint
from van.router.links import join_client
from van.router.reactor import connecting


@pytest.fixture(autouse=True)
def no_address_is_given_up(monkeypatch):
    """Whoever tries one after the other waits for ever."""
    for module, name in (
        (connecting, "CONNECT_TIMEOUT"),
        (connecting, "HANDSHAKE_TIMEOUT"),
        (join_client, "JOIN_TIMEOUT"),
    ):
        monkeypatch.setattr(module, name, 1e6)


@contextlib.contextmanager
def dropping() -> Iterator[Endpoint]:
    """Lend an address whose packets are dropped: its queue is full."""
    with contextlib.ExitStack() as closing:
        listening = closing.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            each = closing.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        yield Endpoint(*listening.getsockname())


@contextlib.contextmanager
def mute() -> Iterator[Endpoint]:
    """Lend an address that takes connections and says nothing on them."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield Endpoint(*listening.getsockname())


async def host(net: Network, *addresses: Endpoint) -> Site:
    """Start a site that tells others of these addresses before its own."""
    root = await net.start("root")
    await root.router.link_port.open(Endpoint("127.0.0.1", 0))
    own = root.router.link_port.endpoint
    assert own is not None
    root.router.site.settings.change(
        lambda config: attrs.evolve(config, advertise=(*addresses, own))
    )
    return root


@pytest.mark.slow("the dead address is tried for a moment first, for every connection")
@pytest.mark.parametrize("dead", [dropping, mute])
async def test_joining_and_dialling_go_past_an_address_that_is_dead(dead):
    with dead() as nowhere:
        async with network() as net:
            root = await host(net, nowhere)
            guest = await net.start("guest")
            with trio.fail_after(20):
                await net.link(guest, root)
            (own,) = guest.router.links.dialers.values()
            assert own.endpoints() == [root.router.link_port.endpoint, nowhere]
            assert own.config.addresses == (nowhere, root.router.link_port.endpoint)


@pytest.mark.slow("a link is dialled twice")
async def test_a_restarted_router_finds_the_address_that_is_well():
    with dropping() as nowhere:
        async with network() as net:
            root = await host(net, nowhere)
            guest = await net.start("guest")
            await net.link(guest, root)
            guest.scope.cancel()
            await wait_until(lambda: "guest" not in root.router.links.up, "it is gone")
            again = await net.start("guest")
            await wait_until(lambda: "root" in again.router.links.up, "it is up again")


async def test_what_is_dialled_besides_goes_where_the_link_went():
    async with network() as net:
        root = await host(net)
        guest = await net.start("guest")
        own = root.router.link_port.endpoint
        assert own is not None
        named = Endpoint("localhost", own.port)
        root.router.site.settings.change(lambda config: attrs.evolve(config, advertise=(named,)))
        await net.link(guest, root)
        assert guest.router.links.up["root"].remote == named
        assert guest.router.control.table.endpoint("root") == own
