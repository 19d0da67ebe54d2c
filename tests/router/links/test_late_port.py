"""A router whose link port can't be opened yet works for everything else, and keeps trying."""

import socket

import attrs
import pytest

from lab.network import Network, network, wait_until
from van.control import endpoints as api
from van.control.values.tokens import TokenCreate
from van.errors import PortInUse
from van.names import Endpoint


async def listen_at(net: Network, endpoint: Endpoint) -> None:
    root = await net.start("root")
    root.router.site.settings.change(lambda config: attrs.evolve(config, listen=endpoint))
    root.scope.cancel()
    await wait_until(lambda: not net.paths("root").control_socket.exists(), "it has ended")


async def test_a_port_that_is_taken_is_opened_when_it_is_free():
    async with network() as net:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = Endpoint(*taken.getsockname())
            await listen_at(net, port)
            root = await net.start("root", is_port_strict=False)
            await root.expose("db:1", port.port)
            status = await root.ask(api.STATUS)
            assert status.router.listen is None
            assert "ss -ltnp" in status.router.listen_failure
            with pytest.raises(PortInUse):
                await root.ask(api.CREATE_TOKEN, TokenCreate())
        await wait_until(lambda: root.router.link_port.endpoint == port, "it is open")
        assert not (await root.ask(api.STATUS)).router.listen_failure
        guest = await net.start("guest")
        await net.link(guest, root)
        kinds = [str(each.kind) for each in root.router.control.events.after(0)]
        assert kinds.index("port-failed") < kinds.index("port-open")


async def test_an_address_that_is_not_there_is_told_of_as_such():
    async with network() as net:
        await listen_at(net, Endpoint("192.0.2.1", 7671))
        root = await net.start("root", is_port_strict=False)
        assert "192.0.2.1 is no address of this machine now" in root.router.link_port.failure
