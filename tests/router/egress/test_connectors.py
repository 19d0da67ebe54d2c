"""What is exposed is in force, advertised, and on disk, or none of them."""

import contextlib
from functools import partial

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import network, wait_until
from lab.ports import free_port
from van.config import Check, ConnectorConfig
from van.config.file import load_config
from van.control import endpoints as api
from van.control.values.paths import ExplainSpec
from van.errors import LocalError, NotAllowed, NotFound, StorageError
from van.names import Address, Endpoint
from van.tls.grants import Grants
from van.wire.lsa import Distribution

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
        again = await connectors.expose(first)
        assert again.detail.startswith("already; 127.0.0.1")
        assert kept(net) == [first, second]
        connectors.unexpose("tcp", DB, first.target)
        assert kept(net) == [second]
        assert [each.target for each in connectors.statuses()] == [str(second.target)]
        with pytest.raises(NotFound, match=f"db:5432 with target {first.target} is not exposed"):
            connectors.unexpose("tcp", DB, first.target)
        connectors.unexpose("tcp", DB)
        assert not connectors.statuses()
        assert not kept(net)


async def echo(stream):
    async with stream:
        with contextlib.suppress(trio.BrokenResourceError):  # who looked whether we are there
            async for data in stream:
                await stream.send_all(data)


async def say(client, text):
    await client.send_all(text)
    return await client.receive_some(100)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"weight": 3}, "weight is 3, was 1"),
        ({"allow_from": ("west",)}, "allow-from is west, was everybody"),
        ({"precedence": 7}, "precedence is 7, was 100"),
        ({"check": Check()}, "check is tcp, was none"),
        ({"distribution": Distribution.CLOSEST}, "distribution is closest, was balanced"),
        ({"distribution": Distribution.MULTICAST}, "distribution is multicast, was balanced"),
        ({"weight": 2, "check": Check("/")}, "weight is 2, was 1; check is http:/, was none"),
    ],
    ids=str,
)
async def test_a_target_is_changed_in_place_and_keeps_its_flows(other, said, nursery):
    async with network() as net:
        west, east = await net.line("west", "east")
        listeners = await nursery.start(partial(trio.serve_tcp, echo, 0, host="127.0.0.1"))
        first = connector(listeners[0].socket.getsockname()[1])
        connectors = east.router.data.attachments.connectors
        await connectors.expose(first)
        port = await west.reach("db:5432")
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            assert await say(client, b"before") == b"before"
            changed = attrs.evolve(first, **other)
            created = await connectors.expose(changed)
            assert created.detail.startswith(f"changed: {said}")
            assert list(load_config(net.paths("east").config_file).connectors) == [changed]
            (status,) = connectors.statuses()
            assert status.flows == 1
            for config, detail in ((changed, "already"), (first, "changed: ")):
                assert (await connectors.expose(config)).detail.startswith(detail)
                assert await say(client, b"after") == b"after"
        assert list(load_config(net.paths("east").config_file).connectors) == [first]


async def test_what_others_know_of_an_address_changes_with_its_target(nursery):
    async with network() as net:
        west, east = await net.line("west", "east")
        listeners = await nursery.start(partial(trio.serve_tcp, echo, 0, host="127.0.0.1"))
        first = connector(listeners[0].socket.getsockname()[1])
        connectors = east.router.data.attachments.connectors
        await connectors.expose(first)
        await west.reach("db:5432")
        await connectors.expose(attrs.evolve(first, weight=5, distribution=Distribution.CLOSEST))

        service = ("tcp", "db:5432")
        routes = west.router.routes
        await wait_until(
            lambda: routes.fib.distribution(service) is Distribution.CLOSEST, "west knows it"
        )
        found = await west.ask(api.EXPLAIN, ExplainSpec(address="db:5432"))
        assert found.candidates[0].weight == 5


async def test_a_check_that_is_asked_for_later_is_made_and_given_up_again(nursery):
    looks = []

    async def serve(stream):
        async with stream:
            looks.append(await stream.receive_some(4096))
            await stream.send_all(b"HTTP/1.1 503 Not now\r\ncontent-length: 0\r\n\r\n")

    async with network(attrs.evolve(FAST, check_interval=0.02)) as net:
        west = await net.start("west")
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        first = connector(listeners[0].socket.getsockname()[1])
        connectors = west.router.data.attachments.connectors
        assert (await connectors.expose(first)).state == "ready"
        created = await connectors.expose(attrs.evolve(first, check=Check("/health")))
        assert created.state == "failing"
        assert "503" in created.detail
        await wait_until(lambda: sum(map(bool, looks)) > 2, "it is looked at all the time")
        assert (await connectors.expose(attrs.evolve(first, check=Check()))).state == "ready"
        await connectors.expose(first)
        (attached,) = west.router.data.egress.targets.connectors
        await wait_until(lambda: not attached.instances[0].is_checked, "nobody looks any more")


async def test_a_change_that_can_not_be_kept_is_not_made(monkeypatch):
    async with network() as net:
        west = await net.start("west")
        connectors = west.router.data.attachments.connectors
        await connectors.expose(connector(9))
        monkeypatch.setattr(type(west.router.site.settings), "change", full_disk)
        with pytest.raises(StorageError):
            await connectors.expose(attrs.evolve(connector(9), weight=3))
        assert connectors.statuses()[0].weight == 1
        assert kept(net) == [connector(9)]


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
        monkeypatch.setattr("van.routing.engine.origination.MAX_BODY", 20)
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
