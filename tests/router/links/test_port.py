"""The link port opens where it is asked to, or says why not."""

import socket
from functools import partial

import pytest
import trio

from lab.network import network, wait_until
from van.errors import PortInUse
from van.names import Endpoint
from van.router.links import port as link_port
from van.router.reactor.connecting import open_listeners


def has_half_open(site, count):
    return len(site.router.link_port._half_open) == count


async def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"127\.0\.0\.1:{port}: address already in use"):
            await open_listeners(Endpoint("127.0.0.1", port))


async def test_a_port_that_could_not_be_opened_is_not_shown_as_open():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with network() as net:
            west = await net.start("west")
            with pytest.raises(PortInUse):
                await west.router.link_port.open(Endpoint("127.0.0.1", taken.getsockname()[1]))
            assert west.router.link_port.endpoint is None


async def test_when_too_many_are_half_open_the_oldest_makes_way(monkeypatch):
    monkeypatch.setattr(link_port, "MAX_HALF_OPEN", 3)
    async with network() as net:
        west = await net.start("west")
        await west.router.link_port.open(Endpoint("127.0.0.1", 0))
        endpoint = west.router.link_port.endpoint
        streams = []
        for count in range(1, 5):
            streams.append(await trio.open_tcp_stream(endpoint.host, endpoint.port))
            await wait_until(partial(has_half_open, west, min(count, 3)), "it is there")
        with trio.fail_after(5):
            assert not await streams[0].receive_some()
        assert west.router.link_port.refused["too-many"] == 1
        assert len(west.router.link_port._half_open) == 3
        for each in streams:
            await each.aclose()
