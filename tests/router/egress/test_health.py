"""Targets that refuse, host names, and checks, with real routers."""

import contextlib
import socket
from functools import partial

import attrs
import pytest
import trio
import trio.testing

from lab.limits import FAST
from lab.network import network, wait_until
from lab.ports import free_port
from van.control import endpoints as api
from van.control.values.attachments import ConnectorSpec
from van.errors import InvalidName, LocalError

ADDRESS = "db:1"


async def answer(stream, text=b"here"):
    async with stream:
        with contextlib.suppress(trio.BrokenResourceError):  # who looked whether we are there
            await stream.send_all(text)


async def start(nursery, serve, port=0):
    """Serve at a port of loopback; return what ends that, and the port."""
    scope = trio.CancelScope()

    async def run(task_status):
        with scope:
            await trio.serve_tcp(serve, port, host="127.0.0.1", task_status=task_status)

    (listener,) = await nursery.start(run)
    return scope, listener.socket.getsockname()[1]


async def expose(site, **spec):
    request = ConnectorSpec(address=ADDRESS, **spec)
    return await site.ask(api.EXPOSE, request)


async def say(port):
    async with await trio.open_tcp_stream("127.0.0.1", port) as client:
        return b"".join([data async for data in client])


def served_at(site):
    return site.router.routes.fib.services.get(("tcp", ADDRESS), ())


SOON = attrs.evolve(FAST, check_interval=0.05, resolve_interval=0.05, resolve_retry=0.05)


async def test_a_target_that_refuses_is_not_told_of_until_it_answers():
    async with network(SOON) as net, trio.open_nursery() as nursery:
        west, east = await net.line("west", "east")
        target = free_port()
        created = await expose(east, target=str(target))
        assert created.state == "failing"
        assert created.detail == f"localhost:{target} takes no flows yet: connection refused"
        assert not served_at(west)
        server, _ = await start(nursery, answer, target)
        await wait_until(lambda: served_at(west) == ("east",), "it is told of")
        port = await west.reach(ADDRESS)
        assert await say(port) == b"here"
        # It leaves, and the first client to find out ends that.
        server.cancel()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises((OSError, trio.BrokenResourceError)):
            await say(port)
        await wait_until(lambda: not served_at(west), "it is not told of")
        kinds = [each.kind.value for each in east.router.control.events.after(0)]
        assert kinds.count("target-failed") == 2
        assert kinds.count("target-well") == 1
        nursery.cancel_scope.cancel()


async def test_a_target_may_be_a_socket_of_the_file_system(tmp_path):
    async with network(SOON) as net, trio.open_nursery() as nursery:
        west, east = await net.line("west", "east")
        listening = trio.socket.socket(socket.AF_UNIX)
        await listening.bind(str(tmp_path / "s"))
        listening.listen()
        nursery.start_soon(trio.serve_listeners, answer, [trio.SocketListener(listening)])
        created = await expose(east, target=f"unix:{tmp_path}/s")
        assert (created.state, created.detail) == ("ready", "")
        assert await say(await west.reach(ADDRESS)) == b"here"
        nursery.cancel_scope.cancel()


async def test_behind_a_host_name_there_is_an_instance_at_each_address(monkeypatch):
    places = ["127.0.0.1", "127.0.0.2"]
    looked_up = trio.socket.getaddrinfo

    async def look_up(host, port, *args, **kwargs):
        if host != "db.example":
            return await looked_up(host, port, *args, **kwargs)
        if not places:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in places]

    monkeypatch.setattr(trio.socket, "getaddrinfo", look_up)
    async with network(SOON) as net, trio.open_nursery() as nursery:
        west, east = await net.line("west", "east")
        target = free_port()
        seen = set()

        async def name_place(stream):
            place = stream.socket.getsockname()[0]
            seen.add(place)
            await answer(stream, place.encode())

        await nursery.start(lambda task_status: trio.serve_tcp(
            name_place, target, host="0.0.0.0", task_status=task_status
        ))  # fmt: skip
        created = await expose(east, target=f"db.example:{target}")
        assert created.state == "ready"
        port = await west.reach(ADDRESS)
        for _ in range(20):
            await say(port)
        assert seen == {"127.0.0.1", "127.0.0.2"}
        (connector,) = east.router.data.egress.targets.connectors
        places.remove("127.0.0.1")
        await wait_until(lambda: len(connector.instances) == 1, "one is gone")
        assert await say(port) == b"127.0.0.2"
        # Where it led to goes on being used while it leads nowhere.
        places.clear()
        await wait_until(lambda: connector.trouble, "the name is gone")
        assert await say(port) == b"127.0.0.2"
        nursery.cancel_scope.cancel()


async def test_a_host_name_that_leads_nowhere_is_told(monkeypatch):
    async def look_up(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with network(SOON) as net:
        west = await net.start("west")
        monkeypatch.setattr(trio.socket, "getaddrinfo", look_up)
        created = await expose(west, target="nowhere.example:1")
        assert created.state == "failing"
        assert "nowhere.example can't be looked up: name or service not known" in created.detail


async def test_a_check_by_http_decides_who_gets_flows():
    status = b"503 Busy"

    async def serve(stream):
        async with stream:
            request = await stream.receive_some(4096)
            assert request.startswith(b"GET /health HTTP/1.1\r\n")
            assert b"host: db:1" in request.lower()
            await stream.send_all(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")

    async with network(SOON) as net, trio.open_nursery() as nursery:
        west, east = await net.line("west", "east")
        _, target = await start(nursery, serve)
        created = await expose(east, target=str(target), check="http:/health")
        assert created.state == "failing"
        assert created.detail == f"localhost:{target} takes no flows yet: GET /health got 503 Busy"
        status = b"204 All is well"
        await wait_until(lambda: served_at(west) == ("east",), "it is told of")
        status = b"500 Alas"
        await wait_until(lambda: not served_at(west), "it is not told of")
        nursery.cancel_scope.cancel()


def are_both_told_of(site):
    return len(served_at(site)) == 2


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ({"weight": 0}, LocalError, "weight"),
        ({"precedence": 256}, LocalError, "precedence"),
        ({"distribution": "random"}, InvalidName, "use balanced, closest, multicast"),
        ({"check": "ping"}, InvalidName, "use tcp, or http:/PATH"),
        ({"target": "unix:relative"}, InvalidName, "use unix: and a full path"),
        ({"target": "unix:/" + "x" * 200}, InvalidName, "too long for a socket"),
        ({"protocol": "udp", "target": "unix:/s"}, LocalError, "not valid for udp"),
        ({"protocol": "udp", "check": "tcp"}, LocalError, "can't be checked"),
    ],
)
async def test_what_makes_no_sense_is_refused(spec, error, said):
    async with network(SOON) as net:
        west = await net.start("west")
        with pytest.raises(error, match=said):
            await expose(west, **spec)
        assert not west.router.data.egress.targets.connectors
        assert not west.router.site.settings.config.connectors


async def test_the_oldest_says_how_an_address_is_distributed(monkeypatch):
    async with network(SOON) as net, trio.open_nursery() as nursery:
        west, east = await net.line("west", "east")
        target = str((await start(nursery, answer))[1])
        monkeypatch.setattr(east.router.site.exposures, "_now", lambda: 1000.0)
        await expose(east, target=target, distribution="closest")
        await wait_until(lambda: served_at(west) == ("east",), "it is told of")
        monkeypatch.setattr(west.router.site.exposures, "_now", lambda: 2000.0)
        created = await expose(west, target=target)
        assert "the address is closest, as others have exposed it before" in created.detail
        for site in (west, east):
            await wait_until(partial(are_both_told_of, site), "both are told of")
            fib = site.router.routes.fib
            assert fib.distribution(("tcp", ADDRESS)).name == "CLOSEST"
            assert fib.dissenters(("tcp", ADDRESS)) == ("west",)
        nursery.cancel_scope.cancel()


async def test_a_site_of_a_lower_precedence_is_used_when_no_other_is_left():
    async with network(SOON) as net, trio.open_nursery() as nursery:
        west, east = await net.line("west", "east")

        async def first(stream):
            await answer(stream, b"first")

        async def reserve(stream):
            await answer(stream, b"reserve")

        one, target = await start(nursery, first)
        await expose(east, target=str(target))
        await expose(west, target=str((await start(nursery, reserve))[1]), precedence=1)
        port = await west.reach(ADDRESS)
        await wait_until(lambda: len(served_at(west)) == 2, "both are told of")
        assert {await say(port) for _ in range(20)} == {b"first"}
        one.cancel()
        await trio.testing.wait_all_tasks_blocked()
        # The client of the flow that finds out does not see it.
        assert {await say(port) for _ in range(20)} == {b"reserve"}
        nursery.cancel_scope.cancel()
