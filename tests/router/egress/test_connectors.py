"""What is exposed is in force, advertised, and on disk, or none of them."""

import attrs
import pytest
import trio

from lab.network import network
from lab.ports import free_port
from van.config import ConnectorConfig
from van.config.file import load_config
from van.errors import AlreadyExists, LocalError, NotAllowed, NotFound, StorageError
from van.names import Address, Endpoint
from van.tls.grants import Grants

DB = Address.parse("db:5432")


def connector(port, address=DB):
    return ConnectorConfig("tcp", address, Endpoint("127.0.0.1", port))


def kept(net):
    return list(load_config(net.paths("west").config_file).connectors)


def full_disk(*_):
    raise StorageError("no space left on device")


async def test_a_target_is_attached_and_detached():
    async with network() as net:
        west = await net.start("west")
        connectors = west.router.data.attachments.connectors
        first, second = (connector(free_port()) for _ in range(2))
        created = await connectors.expose(first)
        assert created.state == "failing"
        assert created.detail == f"{first.target} takes no flows yet: connection refused"
        await connectors.expose(second)
        with pytest.raises(AlreadyExists, match=f"exposed with target {first.target} already"):
            await connectors.expose(first)
        assert kept(net) == [first, second]
        connectors.unexpose("tcp", DB, first.target)
        assert kept(net) == [second]
        assert [each.target for each in connectors.statuses()] == [str(second.target)]
        with pytest.raises(NotFound, match=f"db:5432 with target {first.target} is not exposed"):
            connectors.unexpose("tcp", DB, first.target)
        connectors.unexpose("tcp", DB)
        assert not connectors.statuses()
        assert not kept(net)


async def test_what_can_not_be_kept_is_not_exposed_and_what_can_not_be_forgotten_stays(monkeypatch):
    async with network() as net:
        west = await net.start("west")
        one, other = connector(9), connector(9, Address.parse("web:80"))
        await west.router.data.attachments.connectors.expose(one)
        monkeypatch.setattr(type(west.router.site.settings), "change", full_disk)
        with pytest.raises(StorageError):
            await west.router.data.attachments.connectors.expose(other)
        with pytest.raises(StorageError):
            west.router.data.attachments.connectors.unexpose("tcp", DB)
        assert [each.address for each in west.router.data.attachments.connectors.statuses()] == [
            "db:5432"
        ]
        assert west.router.data.egress.targets.find("tcp", DB)


async def test_what_can_not_be_advertised_is_neither_exposed_nor_kept(monkeypatch):
    async with network() as net:
        west = await net.start("west")
        monkeypatch.setattr("van.routing.engine.engine.MAX_BODY", 20)
        server, address = await serve_somewhere(), Address.parse("a-name-that-is-rather-long:1")
        async with server:
            port = server.socket.getsockname()[1]
            with pytest.raises(LocalError, match="addresses of this site need"):
                await west.router.data.attachments.connectors.expose(connector(port, address))
        assert not west.router.data.attachments.connectors.statuses()
        assert not kept(net)


async def serve_somewhere():
    (listening,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    return listening


async def test_what_the_certificate_does_not_allow_is_refused_with_what_it_does(monkeypatch):
    async with network() as net:
        west = await net.start("west")
        grants = Grants(can_invite=False, allow_expose=("web", "*.shop"), allow_bind=())
        identity = attrs.evolve(west.router.trust.identity, grants=grants)
        monkeypatch.setattr(type(west.router.trust), "identity", identity)
        with pytest.raises(NotAllowed, match=r"to expose db:5432: allowed are web, \*\.shop"):
            await west.router.data.attachments.connectors.expose(connector(9))
        west.router.trust.check_may_expose(Address.parse("a.shop:1"))
        with pytest.raises(NotAllowed, match="to bind db:5432: allowed are none"):
            west.router.trust.check_may_bind(DB)
