"""Targets that reset, are slow, or are not known yet, with real routers before them."""

import contextlib
import socket
import struct
import threading
from functools import partial

import attrs
import pytest
import trio
import trio.testing

from lab.limits import FAST
from lab.network import network, wait_until
from lab.ports import free_port
from tests.router.conftest import PLACEMENTS
from tests.router.flow.test_pending import full_backlog
from van.config.file import load_config
from van.router.reactor import sockets
from van.wire.lsa import Distribution

ADDRESS = "db:1"
QUICK = attrs.evolve(
    FAST,
    stall_timeout=0.2,
    check_interval=0.05,
    slow_after=0.05,
    check_timeout=0.1,
    min_target_retry=0.05,
    max_target_retry=0.1,
    min_slow_retry=0.05,
    max_slow_retry=0.1,
)
"""For targets that keep everybody waiting."""


async def greet(stream):
    async with stream:
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(b"here")


async def say(port):
    """Return what a client hears, or how it fared instead."""
    try:
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            return b"".join([data async for data in client])
    except (OSError, trio.BrokenResourceError):
        return "reset"


def state_of(site):
    (connector,) = site.router.data.attachments.connectors.statuses()
    return connector.state


def served_at(site):
    return site.router.routes.fib.services.get(("tcp", ADDRESS), ())


def kinds_of_events(site):
    return [each.kind.value for each in site.router.control.events.after(0)]


async def serve(nursery, handler, port=0):
    (listener,) = await nursery.start(lambda task_status: trio.serve_tcp(
        handler, port, host="127.0.0.1", task_status=task_status
    ))  # fmt: skip
    return listener.socket.getsockname()[1]


# -- one flow's ending ---------------------------------------------------------------------------


class Resetter:
    """A server in a thread of its own, which resets each connection as soon as it is made."""

    def __init__(self, listening):
        self.accepted = 0
        self._listening = listening
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listening.shutdown(socket.SHUT_RDWR)  # which ends accept
        self._thread.join()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.accepted += 1
                sockets.close_with_reset(connection)


@pytest.mark.slow("three hundred clients, as many as showed that some got lost")
async def test_every_client_of_a_target_that_resets_at_once_gets_there_once(placement):
    names = PLACEMENTS[placement]
    async with network() as net:
        sites = await net.line(*names)
        ingress, egress = sites[0], sites[-1]
        with socket.create_server(("127.0.0.1", 0)) as listening, Resetter(listening) as target:
            await egress.expose(ADDRESS, listening.getsockname()[1])
            port = await ingress.reach(ADDRESS)
            before = target.accepted
            for _ in range(30):
                async with trio.open_nursery() as nursery:
                    for _ in range(10):
                        nursery.start_soon(say, port)
            assert target.accepted - before == 300
        for site in {ingress, egress}:
            assert (site.router.flows.opened, site.router.flows.refused) == (300, 0)
        assert not {"target-failed", "target-well"} & {*kinds_of_events(egress)}
        assert served_at(ingress) == (egress.name,)


@pytest.mark.slow("a hundred clients, and a check between them")
async def test_a_checked_target_that_resets_at_once_stays_advertised():
    async with network(QUICK) as net:
        west, east = await net.line("west", "east")
        with socket.create_server(("127.0.0.1", 0)) as listening, Resetter(listening) as target:
            await east.expose(ADDRESS, listening.getsockname()[1], check="tcp")
            port = await west.reach(ADDRESS)
            assert [await say(port) for _ in range(100)] == ["reset"] * 100
            await wait_until(lambda: target.accepted > 105, "it is looked at some times")
        assert served_at(west) == ("east",)
        assert "target-failed" not in kinds_of_events(east)


# -- slowness ------------------------------------------------------------------------------------


async def accept_for_ever(listening):
    """Serve what waits at a port at last, and what comes from then on."""
    listening.setblocking(False)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    await trio.serve_listeners(greet, [listener])


@pytest.mark.slow("a SYN is sent again after a second")
async def test_a_client_of_the_only_instance_waits_for_it(placement_of_slow):
    async with network(QUICK) as net, trio.open_nursery() as nursery:
        sites = await net.line(*placement_of_slow)
        west, east = sites[0], sites[-1]
        with full_backlog() as listening:
            east.claim(ADDRESS, listening.getsockname()[1])
            port = await west.reach(ADDRESS)
            heard = []

            async def ask():
                heard.append(await say(port))

            nursery.start_soon(ask)
            await wait_until(lambda: state_of(east) == "slow", "it is known to be slow")
            assert served_at(west) == (east.name,)
            assert not heard
            nursery.start_soon(accept_for_ever, listening.dup())
            await wait_until(lambda: heard, "the client is served")
            # Nobody but clients looks at it: that it is quick again, the next one finds out.
            assert state_of(east) == "slow"
            assert await say(port) == b"here"
        assert heard == [b"here"]
        assert state_of(east) == "ready"
        assert west.router.flows.refused == 0
        assert "target-failed" not in kinds_of_events(east)
        nursery.cancel_scope.cancel()


@pytest.fixture(params=["local", "transit"])
def placement_of_slow(request):
    """The sites from a client to a target that is slow."""
    return {"local": ("only",), "transit": ("west", "hub", "east")}[request.param]


@pytest.mark.slow("three sites, and a target that is slow until it is seen to be well")
async def test_a_slow_instance_loses_to_another_site_and_stays_known():
    async with network(QUICK) as net, trio.open_nursery() as nursery:
        hub, east = await net.line("hub", "east")
        west = await net.start("west")
        await net.link(west, hub)
        with full_backlog() as listening:
            east.claim(ADDRESS, listening.getsockname()[1])
            await west.expose(ADDRESS, await serve(nursery, greet))
            port = await hub.reach(ADDRESS)
            await wait_until(lambda: len(served_at(hub)) == 2, "both are known")
            assert [await say(port) for _ in range(20)] == [b"here"] * 20
            assert state_of(east) == "slow"
            assert served_at(hub) == ("east", "west")
            assert hub.router.flows.refused == 0
            nursery.start_soon(accept_for_ever, listening.dup())
            await wait_until(lambda: state_of(east) == "ready", "it is seen to be well again")
        nursery.cancel_scope.cancel()


@pytest.mark.slow("a SYN is sent again after a second")
async def test_where_all_sites_are_slow_the_client_waits_for_one():
    async with network(QUICK) as net, trio.open_nursery() as nursery:
        hub, east = await net.line("hub", "east")
        west = await net.start("west")
        await net.link(west, hub)
        with full_backlog() as listening, full_backlog() as other:
            east.claim(ADDRESS, listening.getsockname()[1])
            west.claim(ADDRESS, other.getsockname()[1])
            port = await hub.reach(ADDRESS)
            await wait_until(lambda: len(served_at(hub)) == 2, "both are known")
            heard = []

            async def ask():
                heard.append(await say(port))

            nursery.start_soon(ask)
            await wait_until(lambda: {state_of(east), state_of(west)} == {"slow"}, "both are slow")
            for each in (listening, other):
                nursery.start_soon(accept_for_ever, each.dup())
            await wait_until(lambda: heard == [b"here"], "it is served")
        assert served_at(hub) == ("east", "west")
        # Who put it off has not refused it.
        counts = [(each.router.flows.opened, each.router.flows.refused) for each in (east, west)]
        assert sorted(counts) == [(0, 0), (1, 0)]
        assert (hub.router.flows.opened, hub.router.flows.refused) == (1, 0)
        nursery.cancel_scope.cancel()


async def test_a_slow_instance_loses_to_another_one_of_its_site():
    async with network(QUICK) as net, trio.open_nursery() as nursery:
        west, east = await net.line("west", "east")
        with full_backlog() as listening:
            east.claim(ADDRESS, listening.getsockname()[1], precedence=200)
            east.claim(ADDRESS, await serve(nursery, greet))
            port = await west.reach(ADDRESS)
            assert [await say(port) for _ in range(20)] == [b"here"] * 20
            slow, well = east.router.data.attachments.connectors.statuses()
            assert (slow.state, well.state) == ("slow", "ready")
        nursery.cancel_scope.cancel()


async def keep(heard, stream):
    async with stream:
        heard.append(b"".join([data async for data in stream]))


async def test_a_slow_member_holds_up_no_other_of_a_multicast_address():
    async with network(attrs.evolve(QUICK, settle_timeout=0.1)) as net, trio.open_nursery() as here:
        west, east = await net.line("west", "east")
        heard: list[bytes] = []
        with full_backlog() as listening:
            terms = {"distribution": Distribution.MULTICAST}
            east.claim(ADDRESS, listening.getsockname()[1], **terms)
            east.claim(ADDRESS, await serve(here, partial(keep, heard)), **terms)
            async with await trio.open_tcp_stream("127.0.0.1", await west.reach(ADDRESS)) as client:
                await client.send_all(b"news")
                await client.send_eof()
                await wait_until(lambda: heard == [b"news"], "the other one has it")
            slow, well = east.router.data.attachments.connectors.statuses()
            assert (slow.state, well.state) == ("slow", "ready")
        here.cancel_scope.cancel()


@pytest.mark.slow("a SYN is sent again after a second")
async def test_the_only_member_of_a_multicast_address_is_waited_for(placement_of_slow):
    async with network(attrs.evolve(QUICK, settle_timeout=1.0)) as net, trio.open_nursery() as here:
        sites = await net.line(*placement_of_slow)
        west, east = sites[0], sites[-1]
        with full_backlog() as listening:
            east.claim(ADDRESS, listening.getsockname()[1], distribution=Distribution.MULTICAST)
            port = await west.reach(ADDRESS)
            async with await trio.open_tcp_stream("127.0.0.1", port) as client:
                await client.send_all(b"news")
                await client.send_eof()
                await wait_until(lambda: state_of(east) == "slow", "it is known to be slow")
                heard: list[bytes] = []
                listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening.dup()))
                here.start_soon(trio.serve_listeners, partial(keep, heard), [listener])
                await wait_until(lambda: b"news" in heard, "it has it")
        assert served_at(west) == (east.name,)
        here.cancel_scope.cancel()


async def test_a_client_waits_no_longer_than_the_connector_says():
    async with network(QUICK) as net:
        west, east = await net.line("west", "east")
        with full_backlog() as listening:
            east.claim(ADDRESS, listening.getsockname()[1], connect_timeout=0.2)
            port = await west.reach(ADDRESS)
            assert await say(port) == "reset"
            assert state_of(east) == "slow"
            assert served_at(west) == ("east",)
            assert (west.router.flows.opened, west.router.flows.refused) == (0, 1)
            assert (east.router.flows.opened, east.router.flows.refused) == (0, 1)


@pytest.mark.epoll("nothing else tells of a reset while nothing is read")
async def test_a_client_that_leaves_a_slow_target_leaves_nothing_behind(placement_of_slow):
    async with network(QUICK) as net:
        sites = await net.line(*placement_of_slow)
        west, east = sites[0], sites[-1]
        with full_backlog() as listening:
            east.claim(ADDRESS, listening.getsockname()[1])
            client = await trio.open_tcp_stream("127.0.0.1", await west.reach(ADDRESS))
            await wait_until(lambda: len(east.router.flows) == 1, "it waits")
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await client.aclose()
            await wait_until(
                lambda: not len(east.router.flows) + len(west.router.flows), "nothing waits"
            )


async def test_a_connect_timeout_is_kept_and_shown():
    async with network(QUICK) as net:
        west = await net.start("west")
        await west.expose(ADDRESS, free_port(), connect_timeout=2.5)
        (shown,) = west.router.data.attachments.connectors.statuses()
        assert shown.connect_timeout == 2.5
        (kept,) = load_config(net.paths("west").config_file).connectors
        assert kept.connect_timeout == 2.5


# -- what is not known yet -----------------------------------------------------------------------


@pytest.mark.parametrize("check", [None, "tcp"])
@pytest.mark.parametrize("kind", ["port", "unix", "name"])
async def test_a_target_is_looked_at_before_it_is_told_of_after_a_restart(
    kind, check, tmp_path, monkeypatch
):
    looked_up = trio.socket.getaddrinfo

    async def look_up(host, port, *args, **kwargs):
        host = "127.0.0.1" if host == "db.example" else host
        return await looked_up(host, port, *args, **kwargs)

    monkeypatch.setattr(trio.socket, "getaddrinfo", look_up)
    async with network(QUICK) as net:
        west, east = await net.line("west", "east")
        async with trio.open_nursery() as nursery:
            await serve_unix(nursery, tmp_path / "s")
            port = await serve(nursery, greet)
            targets = {
                "port": port, "unix": f"unix:{tmp_path}/s", "name": f"db.example:{port}"
            }  # fmt: skip
            await east.expose(ADDRESS, targets[kind], check=check)
            await wait_until(lambda: served_at(west), "it is told of")
            east.scope.cancel()
            await wait_until(lambda: not served_at(west), "its site is gone")
            nursery.cancel_scope.cancel()
        (tmp_path / "s").unlink()
        told = []
        west.router.routes.fib_changed.subscribe(lambda *_: told.append(served_at(west)))
        east = await net.start("east")
        await wait_until(lambda: state_of(east) == "failing", "it was looked at")
        await wait_until(lambda: "east" in west.router.routes.fib.routes, "its site is back")
        assert not any(told)
        async with trio.open_nursery() as nursery:
            (tmp_path / "s").unlink(missing_ok=True)
            await serve_unix(nursery, tmp_path / "s")
            await serve(nursery, greet, port)
            await wait_until(lambda: served_at(west), "it is told of")
            nursery.cancel_scope.cancel()


async def serve_unix(nursery, path):
    listening = trio.socket.socket(socket.AF_UNIX)
    await listening.bind(str(path))
    listening.listen()
    nursery.start_soon(trio.serve_listeners, greet, [trio.SocketListener(listening)])
