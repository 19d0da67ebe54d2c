"""A bare port, or `localhost`, is this machine's, at whichever loopback a server listens."""

import contextlib
import socket

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import network, wait_until
from lab.ports import free_port
from van.control import endpoints as api
from van.control.values.attachments import ConnectorSpec

SOON = attrs.evolve(FAST, resolve_interval=0.05, resolve_retry=0.05)
PLACES = {"127.0.0.1": "127.0.0.1", "::1": "[::1]"}


@pytest.fixture(autouse=True)
def _needs_both():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")


async def answer(stream):
    async with stream:
        with contextlib.suppress(trio.BrokenResourceError):  # who looked whether we are there
            await stream.send_all(b"here")


async def ask(port):
    async with await trio.open_tcp_stream("127.0.0.1", port) as client:
        return b"".join([data async for data in client])


async def status_of(site):
    (status,) = (await site.ask(api.STATUS)).connectors
    return status.state, status.detail


async def serve(nursery, host, port=0):
    scope = trio.CancelScope()

    async def run(task_status):
        with scope:
            await trio.serve_tcp(answer, port, host=host, task_status=task_status)

    (listener,) = await nursery.start(run)
    return scope, listener.socket.getsockname()[1]


@pytest.mark.parametrize("target", ["{port}", "localhost:{port}"])
@pytest.mark.parametrize("host", PLACES)
async def test_a_server_at_one_loopback_alone_is_exposed_by_its_port(host, target):
    async with network(SOON) as net, trio.open_nursery() as nursery:
        west, east = await net.line("west", "east")
        _, port = await serve(nursery, host)
        created = await east.ask(
            api.EXPOSE, ConnectorSpec("web:1", "tcp", target.format(port=port))
        )
        assert (created.state, created.detail) == ("ready", f"{PLACES[host]}:{port} answers")
        assert await ask(await west.reach("web:1")) == b"here"
        nursery.cancel_scope.cancel()


async def test_a_server_that_comes_back_at_the_other_loopback_is_found_there():
    async with network(SOON) as net, trio.open_nursery() as nursery:
        west, east = await net.line("west", "east")
        port = free_port()
        created = await east.ask(api.EXPOSE, ConnectorSpec("web:1", "tcp", str(port)))
        assert created.detail == f"localhost:{port} takes no flows yet: connection refused"
        for host in ("::1", "127.0.0.1", "::1"):
            scope, _ = await serve(nursery, host, port)
            listener = await west.reach("web:1")
            assert await ask(listener) == b"here"
            assert await status_of(east) == ("ready", f"{PLACES[host]}:{port} answers")
            await west.ask(api.UNBIND, api.UNBIND.request("web:1", "tcp", None))
            scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


def udp_server(host, port=0):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    sock.setblocking(False)
    return trio.socket.from_stdlib_socket(sock)


async def asked(port, server):
    """Send to a port, and answer what arrives at a server; return the answer."""
    with trio.socket.socket(type=socket.SOCK_DGRAM) as client:
        await client.connect(("127.0.0.1", port))
        await client.send(b"who?")
        with trio.fail_after(20):
            data, sender = await server.recvfrom(100)
            await server.sendto(data + b" me", sender)
            return await client.recv(100)


@pytest.mark.parametrize("host", PLACES)
async def test_a_udp_server_at_one_loopback_alone_is_exposed_by_its_port(host):
    async with network(SOON) as net:
        west, east = await net.line("west", "east")
        with udp_server(host) as server:
            port = server.getsockname()[1]
            created = await east.ask(api.EXPOSE, ConnectorSpec("dns:53", "udp", str(port)))
            assert (created.state, created.detail) == ("ready", f"sent to {PLACES[host]}:{port}")
            listener = await west.reach("dns:53", protocol="udp")
            for _ in range(3):
                assert await asked(listener, server) == b"who? me"


async def test_a_udp_server_that_starts_later_is_found():
    async with network(SOON) as net:
        west, east = await net.line("west", "east")
        port = free_port(is_udp=True)
        await east.ask(api.EXPOSE, ConnectorSpec("dns:53", "udp", str(port)))
        with udp_server("::1", port) as server:
            (connector,) = east.router.data.egress.targets.connectors
            await wait_until(lambda: connector.instances[0].place.host == "::1", "it is found")
            assert await asked(await west.reach("dns:53", protocol="udp"), server) == b"who? me"


async def test_a_server_at_both_loopbacks_is_one_instance_and_gets_one_copy():
    async with network(SOON) as net:
        west, east = await net.line("west", "east")
        with udp_server("127.0.0.1") as server, udp_server("::1", server.getsockname()[1]) as other:
            port = server.getsockname()[1]
            spec = ConnectorSpec("news:7", "udp", f"localhost:{port}", distribution="multicast")
            await east.ask(api.EXPOSE, spec)
            (connector,) = east.router.data.egress.targets.connectors
            assert len(connector.instances) == 1
            assert await asked(await west.reach("news:7", protocol="udp"), server) == b"who? me"
            rest = socket.socket(fileno=other.detach())
            with rest, pytest.raises(BlockingIOError):
                rest.recv(100)
