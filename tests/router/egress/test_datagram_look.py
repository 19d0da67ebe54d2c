"""Whether anybody takes datagrams at a place is found out aside, and no client pays for it."""

import contextlib
import socket

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import wait_until
from lab.ports import free_port
from tests.router.flow.test_datagrams import (
    ask,
    echo,
    passage,
    serve_until_closed,
)
from van.config import ConnectorConfig
from van.names import Address, Endpoint
from van.router.egress import datagram_look
from van.router.egress.connector import Connector
from van.router.egress.datagram_look import is_bound, look_for_datagrams
from van.router.egress.instance import Instance, Verdict
from van.wire.lsa import Distribution

SOON = attrs.evolve(FAST, datagram_retry=0.05, max_target_retry=0.05)


@contextlib.contextmanager
def bound(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.setblocking(False)
        yield sock, sock.getsockname()[1]


@pytest.mark.parametrize(
    ("server", "asked", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("::1", "::1", True),
        ("::", "::1", True),
        ("::", "127.0.0.1", True),
        ("0.0.0.0", "::1", False),
        ("::1", "127.0.0.1", False),
    ],
)
def test_the_kernel_says_which_ports_of_this_machine_are_open(server, asked, expected):
    with bound(server) as (_, port):
        assert is_bound(Endpoint(asked, port)) is expected
        assert not is_bound(Endpoint("192.0.2.1", port))
    assert not is_bound(Endpoint(asked, port))


def test_a_socket_that_hears_one_peer_alone_takes_nothing_from_others():
    with bound("127.0.0.1") as (sock, port), bound("127.0.0.1") as (_, peer):
        sock.connect(("127.0.0.1", peer))
        assert not is_bound(Endpoint("127.0.0.1", port))


def test_a_system_that_does_not_tell_knows_of_nothing(tmp_path):
    with bound("127.0.0.1") as (_, port):
        assert not is_bound(Endpoint("127.0.0.1", port), [tmp_path / "none"])


def instance_at(port):
    config = ConnectorConfig(
        "udp", Address.parse("a:1"), Endpoint("127.0.0.1", port), Distribution.BALANCED
    )
    return Instance(Connector(config, is_allowed=True), config.target)


async def test_where_the_system_does_not_tell_an_empty_datagram_shows_who_is_there(monkeypatch):
    monkeypatch.setattr(datagram_look, "is_bound", lambda _: False)
    assert (await look_for_datagrams(instance_at(free_port(is_udp=True)), FAST)).verdict is (
        Verdict.FAILED
    )
    with bound("127.0.0.1") as (sock, port):
        assert (await look_for_datagrams(instance_at(port), FAST)).verdict is Verdict.WELL
        assert sock.recv(10) == b""


async def test_a_target_that_is_bound_is_told_nothing():
    with bound("127.0.0.1") as (sock, port):
        assert (await look_for_datagrams(instance_at(port), FAST)).verdict is Verdict.WELL
        with pytest.raises(BlockingIOError):
            sock.recv(10)


@contextlib.asynccontextmanager
async def two_targets(placement, **options):
    """Lend a passage at whose egress two targets serve the address, and the second one's port."""
    async with passage(placement, limits=SOON, **options) as way:
        port = free_port(is_udp=True)
        await way.egress.expose("target:7", port, protocol="udp")
        yield way, port


@pytest.mark.parametrize("placement", ["local", "neighbor"])
@pytest.mark.slow("a hundred clients, each with a socket and a session of its own")
async def test_no_client_pays_for_a_dead_target_beside_one_that_is_well(placement):
    async with two_targets(placement) as (way, _):
        for number in range(100):
            client = await way.client()
            assert await ask(client, b"%d" % number) == b"%d" % number
        assert not +way.drops
        assert not way.ingress.router.flows.refused
        assert not way.egress.router.flows.refused


def connector_at(site, port):
    connectors = site.router.data.egress.targets.connectors
    (found,) = [each for each in connectors if each.config.target.port == port]
    return found


async def test_a_dead_target_gets_nobody_until_it_is_there_again():
    async with two_targets("neighbor") as (way, port):
        connector = connector_at(way.egress, port)

        async def is_found_out():
            assert await ask(await way.client(), b"x") == b"x"
            return not connector.is_ready

        with trio.fail_after(10):
            while not await is_found_out():
                pass
        kinds = [each.kind.value for each in way.egress.router.control.events.after(0)]
        assert "target-well" not in kinds
        await trio.sleep(5 * SOON.datagram_retry)  # several looks
        assert not connector.is_ready
        async with trio.open_nursery() as nursery:
            again = trio.socket.socket(type=socket.SOCK_DGRAM)
            await again.bind(("127.0.0.1", port))
            with again:
                nursery.start_soon(serve_until_closed, echo, again)
                await wait_until(lambda: connector.is_ready, "it is used again")
                assert await ask(await way.client(), b"x") == b"x"
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("placement", ["local", "neighbor"])
async def test_what_a_target_took_before_it_was_found_dead_goes_to_another(placement):
    limits = attrs.evolve(SOON, answer_timeout=30.0)
    async with passage(placement, limits=limits) as way:
        client = await way.client()
        with bound("127.0.0.1") as (_, port):
            await way.egress.expose("target:7", port, protocol="udp", precedence=200)
            await client.send(b"first")
            connector = connector_at(way.egress, port)
            await wait_until(lambda: connector.flows, "the target has it, and says nothing")
        await client.send(b"second")
        with trio.fail_after(10):
            assert [await client.recv(10) for _ in range(2)] == [b"first", b"second"]
        assert not +way.drops


async def test_a_session_that_every_target_of_its_site_refuses_is_refused_once():
    async with two_targets("neighbor") as (way, _):
        way.target.close()
        client = await way.client()
        with contextlib.suppress(OSError):
            await client.send(b"x")
        flows = way.ingress.router.flows
        await wait_until(lambda: flows.refused == 1, "it is refused")
        await wait_until(lambda: not len(flows), "nothing is left of it")
