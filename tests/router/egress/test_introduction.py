"""Targets that are told who their client is, ahead of what it says, wherever it is."""

import socket
import struct

import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from tests.router.conftest import PLACEMENTS
from van.config.file import load_config
from van.errors import InvalidValue
from van.router.egress.introduction import introduce

ADDRESS = "db:5432"


class Hearing:
    """A server that keeps the first that each connection says, to its end, and answers `ok`."""

    def __init__(self):
        self.heard = []

    async def serve(self, stream):
        async with stream:
            self.heard.append(b"".join([data async for data in stream]))
            await stream.send_all(b"ok")

    async def start(self, nursery):
        listeners = await nursery.start(trio.serve_tcp, self.serve, 0)
        return listeners[0].socket.getsockname()[1]


async def ask(port, words=b"hello"):
    """Return what a client hears, and the port it had."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as client:
        own = client.socket.getsockname()[1]
        await client.send_all(words)
        await client.send_eof()
        return b"".join([data async for data in client]), own


def assert_introduced(data, port, site):
    (size,) = struct.unpack_from("!H", data, 14)
    told, words = data[16 : 16 + size], data[16 + size :]
    assert told[:12] == bytes([127, 0, 0, 1, 0, 0, 0, 0]) + struct.pack("!HH", port, 5432)
    assert told.endswith(b"\xe0" + struct.pack("!H", len(site)) + site.encode())
    assert words == b"hello"


@pytest.fixture(params=list(PLACEMENTS.values()), ids=list(PLACEMENTS))
def names(request):
    return request.param


@pytest.mark.parametrize("distribution", ["balanced", "multicast"])
async def test_a_target_hears_who_its_client_is(names, distribution):
    server = Hearing()
    async with network() as net, trio.open_nursery() as nursery:
        sites = await net.line(*names)
        target = await server.start(nursery)
        options = {"distribution": distribution, "proxy_protocol": True}
        await sites[-1].expose(ADDRESS, target, **options)
        await wait_until(lambda: server.heard, "it has been looked at")
        assert set(server.heard) == {b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"}
        server.heard.clear()
        port = await sites[0].reach(ADDRESS, first_reply=distribution == "multicast")
        answer, own = await ask(port)
        assert answer == b"ok"
        (data,) = server.heard
        assert_introduced(data, own, names[0])
        nursery.cancel_scope.cancel()


async def test_it_is_kept_shown_and_changed_in_place():
    server = Hearing()
    async with network() as net, trio.open_nursery() as nursery:
        west = await net.start("west")
        target = await server.start(nursery)
        await west.expose(ADDRESS, target, proxy_protocol=True)
        (shown,) = west.router.data.attachments.connectors.statuses()
        assert shown.proxy_protocol
        (kept,) = load_config(net.paths("west").config_file).connectors
        assert kept.proxy_protocol
        port = await west.reach(ADDRESS)
        await west.expose(ADDRESS, target)
        server.heard.clear()
        await ask(port)
        assert server.heard == [b"hello"]
        nursery.cancel_scope.cancel()


async def test_over_udp_it_is_refused():
    async with network() as net:
        west = await net.start("west")
        with pytest.raises(InvalidValue, match="without --proxy-protocol"):
            await west.expose(ADDRESS, free_port(), protocol="udp", proxy_protocol=True)


def test_what_can_not_be_said_whole_ends_the_connection():
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        introduce(near, bytes(1 << 20))
        with pytest.raises(BrokenPipeError):
            near.send(b"what the client says")


def test_a_target_that_has_gone_is_met_by_the_next_read():
    near, far = socket.socketpair()
    with near:
        far.close()
        introduce(near, b"header")
        assert near.recv(1) == b""
