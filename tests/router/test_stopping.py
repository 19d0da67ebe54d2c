"""A router that has stopped leaves no descriptor, thread, task, or file behind."""

import contextlib
import gc
import os
import socket
import threading
from pathlib import Path

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import network, wait_until


def descriptors():
    """Return what every descriptor of this process is open on."""
    gc.collect()
    found = {}
    for each in Path("/proc/self/fd").iterdir():
        try:
            found[each.name] = str(each.readlink())
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


def threads():
    """Return the names of the threads, but for those that trio keeps for its next use of one."""
    return {each.name for each in threading.enumerate() if "Trio thread" not in each.name}


def tasks():
    """Return how many tasks there are in this run of trio."""
    return trio.lowlevel.current_statistics().tasks_living


async def echo(stream):
    with contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            async for data in stream:
                await stream.send_all(data)


async def use(net, nursery, stop):
    """Let flows pass from every site of a line to its end, and stop the sites amid one of them."""
    sites = await net.line("west", "hub", "east")
    listeners = await nursery.start(trio.serve_tcp, echo, 0)
    await sites[0].expose("echo:7", listeners[0].socket.getsockname()[1])
    ports = [await each.reach("echo:7") for each in sites]
    for port in ports * 5:
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(b"x" * 10_000)
            await client.send_eof()
            assert len(b"".join([data async for data in client])) == 10_000
    async with await trio.open_tcp_stream("127.0.0.1", ports[-1]) as client:
        await client.send_all(b"x")
        assert await client.receive_some() == b"x"
        assert sites[1].router.data.forwarding.relays.count
        await stop(sites)
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()


async def ask(sites):
    for each in sites:
        each.router.stop()
    await wait_until(
        lambda: not any(each.router.site.paths.control_socket.exists() for each in sites),
        "all stopped",
    )


async def ask_twice(sites):
    for each in sites:
        each.router.stop()
        each.router.stop()
    await ask(sites)


async def cancel(sites):
    for each in sites:
        each.scope.cancel()
    await wait_until(
        lambda: not any(each.router.site.paths.control_socket.exists() for each in sites),
        "all stopped",
    )


@pytest.mark.slow("starts and stops sites again and again")
@pytest.mark.parametrize("stop", [ask, ask_twice, cancel])
async def test_sites_that_have_stopped_leave_nothing_behind(stop):
    counts = []
    for _ in range(4):
        limits = attrs.evolve(FAST, stop_grace=0.2)
        async with network(limits) as net, trio.open_nursery() as nursery:
            await use(net, nursery, stop)
            routers = [each.router for each in net.sites.values()]
            nursery.cancel_scope.cancel()
        for router in routers:
            assert not len(router.flows)
            assert not router.data.forwarding.relays.count
            assert not router.links.up
            assert not router.data.loop.watches
            assert not router.data.loop.pipes
            assert not any(router.data.channels.table._by_neighbor.values())
            assert not router.data.ingress.ranking.balancer.outstanding(("tcp", "echo:7"))
            assert not any(each.in_use for each in router.data.channels.pools._pools.values())
        counts.append((len(descriptors()), threads(), tasks()))
    assert counts[1:] == counts[:-1]


def keep_small(port):
    """Let the kernel keep no more than a little for each client of a port of this process."""
    for number in sorted(int(each.name) for each in Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):  # no socket, or closed meanwhile
            if is_listening(number, port):
                with socket.socket(fileno=os.dup(number)) as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                return
    raise AssertionError(f"nothing listens on port {port}")


def is_listening(number, port):
    """Tell whether a descriptor is a TCP socket that listens on a port."""
    if not str(Path(f"/proc/self/fd/{number}").readlink()).startswith("socket:"):
        return False
    with socket.socket(fileno=os.dup(number)) as sock:
        return (
            sock.family != socket.AF_UNIX
            and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            and sock.getsockname()[1] == port
        )


async def test_what_was_said_in_a_flow_that_is_over_arrives_though_its_site_has_stopped():
    text = bytes(range(256)) * 250  # less than a window, and more than narrow sockets take

    async def say_all(stream):
        with contextlib.suppress(trio.BrokenResourceError):  # it was looked at only
            await stream.send_all(text)
        await stream.aclose()

    async with network() as net, trio.open_nursery() as nursery:
        west, _hub, east = await net.line("west", "hub", "east")
        listeners = await nursery.start(trio.serve_tcp, say_all, 0)
        await east.expose("news:7", listeners[0].socket.getsockname()[1])
        port = await west.reach("news:7")
        flows = east.router.flows
        await wait_until(lambda: not len(west.router.flows) + len(flows), "no look is under way")
        before = flows.opened
        keep_small(port)
        narrow = trio.socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await narrow.connect(("127.0.0.1", port))
        async with trio.SocketStream(narrow) as client:
            await client.send_eof()
            await wait_until(lambda: flows.opened > before and not len(flows), "it is over there")
            assert len(west.router.flows), "the client has read nothing"
            await ask([east])
            assert b"".join([data async for data in client]) == text
        nursery.cancel_scope.cancel()
