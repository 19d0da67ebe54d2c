"""What is exposed for some sites is reached by these, and by nobody else."""

import contextlib
import errno
from datetime import timedelta
from functools import partial

import attrs
import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from tests.router.flow.test_datagrams import PATIENCE, udp_socket
from tests.router.links.restarting import authority_of
from tests.router.test_multicast import scene, until_answered
from van.config.file import load_config
from van.control import endpoints as api
from van.control.values.attachments import ConnectorSpec
from van.control.values.expulsions import ExpelSpec
from van.control.values.paths import ExplainSpec
from van.control.values.policy import PolicySpec
from van.errors import InvalidName, InvalidValue, NotAllowed
from van.router.bundles.subchannel import Subchannel
from van.router.channels.channel import Channel
from van.router.egress.connecting import begin
from van.router.ingress.reach import Reach
from van.router.management.status import router_status
from van.tls.keys import make_request
from van.wire.lsa import Service

pytestmark = pytest.mark.slow("routers are started and linked")

DB = ("tcp", "db:5432")
_opened: list[trio.SocketStream] = []
"""Closed when the network is."""


@contextlib.asynccontextmanager
async def star(**tags):
    """A hub, and sites linked to it with the tags that are named."""
    async with network() as net:
        hub = await net.start("hub")
        for name, words in tags.items():
            await net.link(await net.start(name), hub, tags=words)
        names = {"hub", *tags}
        await wait_until(
            lambda: all(
                site.router.routes.fib.routes.keys() == names for site in net.sites.values()
            ),
            "everybody knows everybody",
        )
        try:
            yield net
        finally:
            while _opened:
                _opened.pop().socket.close()


async def name_server(net, name):
    """Serve a name to each client, and then whatever it says; return the port."""

    async def serve(stream):
        async with stream:
            with contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(name.encode())
                async for data in stream:
                    await stream.send_all(data)

    (listener,) = await net._nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    return listener.socket.getsockname()[1]


async def dial(port):
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    _opened.append(stream)
    return stream


async def connect(port):
    stream = await dial(port)
    with trio.fail_after(PATIENCE):
        return stream, (await stream.receive_some(100)).decode()


async def ends(stream):
    with trio.fail_after(PATIENCE):
        try:
            return await stream.receive_some(100) == b""
        except trio.BrokenResourceError:
            return True


def listener_of(site):
    (found,) = router_status(site.router, 0.0).listeners
    return found


async def is_not_allowed(site, reason):
    await wait_until(lambda: listener_of(site).state == "not allowed", "it is not allowed")
    assert reason in listener_of(site).detail


async def test_who_is_in_the_list_comes_and_who_is_not_sees_why_not():
    async with star(prod=("prod",), other=()) as net:
        prod, other, hub = net.sites["prod"], net.sites["other"], net.sites["hub"]
        server = await name_server(net, "hub")
        await hub.expose("db:5432", server, allow_from=("tag:prod", "laptop-*"))
        port = await prod.reach("db:5432")
        assert (await connect(port))[1] == "hub"
        await other.bind("db:5432")
        await is_not_allowed(other, "hub: it is exposed for tag:prod, laptop-* only")
        with pytest.raises(NotAllowed, match=r"may not reach db:5432: hub: it is exposed for tag"):
            await other.ask(api.EXPLAIN, ExplainSpec(address="db:5432"))
        (shown,) = router_status(other.router, 0.0).addresses
        assert (shown.served_at, shown.not_allowed_at) == (("hub",), ("hub",))
        # The site itself is never kept out, and it is not in its list.
        own = await hub.reach("db:5432")
        assert (await connect(own))[1] == "hub"


async def test_a_change_of_the_list_ends_flows_and_nothing_else():
    async with star(prod=("prod",), other=()) as net:
        prod, other, hub = net.sites["prod"], net.sites["other"], net.sites["hub"]
        server = await name_server(net, "hub")
        await hub.expose("db:5432", server)
        stays, _ = await connect(await prod.reach("db:5432"))
        goes, _ = await connect(await other.reach("db:5432"))
        own, _ = await connect(await hub.reach("db:5432"))
        await hub.expose("db:5432", server, allow_from=("tag:prod",))
        assert await ends(goes)
        for each in (stays, own):
            await each.send_all(b"still here")
            assert await each.receive_some(100) == b"still here"
        await is_not_allowed(other, "for tag:prod only")
        # Kept when another thing is changed, and on disk; and taken back by a list of none.
        await hub.expose("db:5432", server, weight=3)
        (kept,) = load_config(net.paths("hub").config_file).connectors
        assert (kept.weight, kept.allow_from) == (3, ("tag:prod",))
        await hub.expose("db:5432", server, allow_from=())
        await wait_until(lambda: listener_of(other).state == "open", "all may come again")


async def test_the_egress_does_not_trust_what_the_ingress_believes(monkeypatch):
    monkeypatch.setattr(Reach, "_why_not", lambda *_: "")
    async with star(prod=("prod",), other=()) as net:
        other, hub = net.sites["other"], net.sites["hub"]
        server = await name_server(net, "hub")
        await hub.expose("db:5432", server, allow_from=("tag:prod",))
        port = await other.reach("db:5432")
        assert await ends(await dial(port))
        assert "it is exposed for tag:prod only" in listener_of(other).detail
        # As it is for UDP, and for what goes to many.
        for protocol, distribution in (("udp", "balanced"), ("udp", "multicast")):
            options = {"protocol": protocol, "distribution": distribution}
            address = f"{distribution}:7"
            await hub.expose(address, server, allow_from=("tag:prod",), **options)
            client = await udp_socket(await other.reach(address, protocol="udp"))
            refused = hub.router.flows.refused
            await client.send(b"let me in")
            await wait_until(lambda: hub.router.flows.refused > refused, "it is refused")  # noqa: B023
        await hub.expose("all:7", server, allow_from=("tag:prod",), distribution="multicast")
        refused = hub.router.flows.refused
        assert await ends(await dial(await other.reach("all:7")))
        assert hub.router.flows.refused > refused


async def test_each_target_of_an_address_is_for_its_own_list():
    async with star(prod=("prod",), other=("test",)) as net:
        prod, other, hub = net.sites["prod"], net.sites["other"], net.sites["hub"]
        first, second = [await name_server(net, name) for name in ("first", "second")]
        await hub.expose("db:5432", first, allow_from=("tag:prod",))
        await hub.expose("db:5432", second, allow_from=("tag:test",))
        for site, wanted in ((prod, "first"), (other, "second")):
            port = await site.reach("db:5432")
            for _ in range(6):
                assert (await connect(port))[1] == wanted
        with pytest.raises(InvalidValue, match="each for other sites: say with --allow-from"):
            await hub.expose("db:5432", free_port())
        (told,) = other.router.routes.fib.terms[DB]
        assert (set(told.allow_from), told.is_limited) == ({"tag:prod", "tag:test"}, True)
        await hub.expose("db:5432", second, allow_from=())
        await wait_until(
            lambda: not other.router.routes.fib.terms[DB][0].is_limited, "one is for all"
        )


async def test_flows_go_to_the_sites_that_let_this_one_in_only():
    async with star(one=(), two=(), three=("prod",)) as net:
        for name, allowed in (("one", ("tag:prod",)), ("two", ("hub",))):
            server = await name_server(net, name)
            await net.sites[name].expose("db:5432", server, allow_from=allowed)
        routes = net.sites["hub"].router.routes
        await wait_until(lambda: routes.fib.services.get(DB) == ("one", "two"), "it is served")
        for site, wanted in (("hub", "two"), ("three", "one")):
            port = await net.sites[site].reach("db:5432")
            for _ in range(6):
                assert (await connect(port))[1] == wanted
        found = await net.sites["hub"].ask(api.EXPLAIN, ExplainSpec(address="db:5432"))
        assert [each.site for each in found.candidates] == ["two"]
        (refusal,) = found.not_allowed
        assert (refusal.site, refusal.reason) == ("one", "it is exposed for tag:prod only")


async def test_a_flow_that_waits_for_its_target_is_not_let_in_when_the_list_has_changed(
    monkeypatch,
):
    async with star(other=()) as net:
        other, hub = net.sites["other"], net.sites["hub"]
        server = await name_server(net, "hub")
        await hub.expose("db:5432", server)
        port = await other.reach("db:5432")
        targets, may_go = hub.router.data.egress.targets, trio.Event()
        connect_as_ever = targets.connect

        async def wait_and_connect(*args, **options):
            found = await connect_as_ever(*args, **options)
            await may_go.wait()
            return found

        monkeypatch.setattr(targets, "connect", wait_and_connect)
        monkeypatch.setattr(
            "van.router.egress.targets.begin",
            lambda place: _slowed(begin(place)),
        )
        stream = await dial(port)
        await wait_until(lambda: len(hub.router.flows), "it waits")
        await hub.ask(api.EXPOSE, spec(server, allow_from=("tag:prod",)))
        may_go.set()
        assert await ends(stream)
        (ended,) = hub.router.flows.endings.statuses()
        assert ended.detail == "the ingress may not reach it any more"


def _slowed(begun):
    """Have a connection that is made count as one that is not yet."""
    return type(begun)(begun.sock, errno.EINPROGRESS)


def spec(port, **options):
    return ConnectorSpec(address="db:5432", target=f"127.0.0.1:{port}", **options)


async def test_a_session_ends_when_its_site_may_come_no_more():
    async with star(other=()) as net:
        other, hub = net.sites["other"], net.sites["hub"]
        server = await udp_socket()

        async def serve():
            while True:
                data, address = await server.recvfrom(100)
                await server.sendto(data, address)

        net._nursery.start_soon(serve)
        place = server.getsockname()[1]
        await hub.expose("dns:53", place, protocol="udp")
        client = await udp_socket(await other.reach("dns:53", protocol="udp"))
        await client.send(b"1")
        assert await client.recv(100) == b"1"
        await hub.expose("dns:53", place, protocol="udp", allow_from=("tag:prod",))
        await wait_until(lambda: not len(hub.router.flows), "the session has ended")
        await is_not_allowed(other, "for tag:prod only")


async def test_a_source_that_may_come_no_more_loses_its_members_and_others_get_a_new_key():
    async with scene(("e1", "east"), ("w1", "west")) as stage:
        client = await udp_socket(stage.port)
        await until_answered(client, {b"e1", b"w1"})
        (source,) = stage.sites["source"].router.data.ingress.sources._sources.values()
        before = source._current
        place = stage.instances["e1"].sock.getsockname()[1]
        options = {"protocol": "udp", "distribution": "multicast", "allow_from": ("tag:prod",)}
        await stage.sites["east"].expose("news:7", place, **options)
        assert not stage.sites["east"].router.data.egress.members._groups
        await until_answered(client, {b"w1"})
        await wait_until(lambda: source._current is not before, "there is a new generation")
        assert source._current._key != before._key
        heard = len(stage.instances["e1"].heard)
        await client.send(b"not for east")
        await until_answered(client, {b"w1"})
        assert len(stage.instances["e1"].heard) == heard


async def test_one_target_of_a_group_is_left_while_another_stays():
    async with scene(("e1", "east"), ("e2", "east")) as stage:
        client = await udp_socket(stage.port)
        await until_answered(client, {b"e1", b"e2"})
        place = stage.instances["e1"].sock.getsockname()[1]
        options = {"protocol": "udp", "distribution": "multicast", "allow_from": ("tag:prod",)}
        await stage.sites["east"].expose("news:7", place, **options)
        assert stage.sites["east"].router.data.egress.members.sockets == 1
        await until_answered(client, {b"e2"})


async def test_other_tags_count_at_once():
    async with star(other=()) as net:
        other, hub = net.sites["other"], net.sites["hub"]
        server = await name_server(net, "hub")
        await hub.expose("db:5432", server, allow_from=("tag:prod",))
        port = await other.bind("db:5432")
        await is_not_allowed(other, "for tag:prod only")
        await net.link(other, hub, tags=("prod",))
        with trio.fail_after(PATIENCE):  # the link is made anew, and for a moment there is none
            while True:
                with contextlib.suppress(OSError, trio.BrokenResourceError):
                    if (await connect(port))[1] == "hub":
                        break
                await trio.sleep(0.01)


async def pour(stream):
    async with stream:
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.receive_some(1)
            while True:
                await stream.send_all(bytes(65536))


@pytest.mark.parametrize("how", ["list", "policy", "expulsion"])
async def test_what_ends_a_site_s_flows_ends_those_too_that_have_left_their_bundle(how):
    async with star(west=()) as net:
        west, hub = net.sites["west"], net.sites["hub"]
        (listener,) = await net._nursery.start(partial(trio.serve_tcp, pour, 0, host="127.0.0.1"))
        place = listener.socket.getsockname()[1]
        await hub.expose("db:5432", place)
        port = await west.reach("db:5432")
        small, bulk = await dial(port), await dial(port)
        await bulk.send_all(b"x")

        def carriers():
            return {type(each.carrying.channel) for each in hub.router.flows if each.carrying}

        while carriers() != {Subchannel, Channel}:
            await bulk.receive_some(65536)
        if how == "list":
            await hub.expose("db:5432", place, allow_from=("nobody",))
        elif how == "policy":
            await hub.ask(api.SET_POLICY, PolicySpec(is_closed=True))
        else:
            await hub.ask(api.EXPEL, ExpelSpec(site="west"))
        assert await ends(small)
        with trio.fail_after(PATIENCE), contextlib.suppress(trio.BrokenResourceError):
            while await bulk.receive_some(65536):
                pass
        for each in (hub, west):
            await wait_until(lambda: not len(each.router.flows), "nothing is left")  # noqa: B023


@pytest.mark.parametrize(
    "taken",
    [{"tags": ()}, {"allow_bind": ("web",)}],
    ids=["a tag", "the address"],
)
async def test_what_a_newer_certificate_allows_no_more_ends_though_no_connection_does(taken):
    async with star(west=("prod",), stays=("prod",)) as net:
        west, stays, hub = net.sites["west"], net.sites["stays"], net.sites["hub"]
        server = await name_server(net, "hub")
        await hub.expose("db:5432", server, allow_from=("tag:prod",))
        port = await west.reach("db:5432")
        goes, _ = await connect(port)
        other, _ = await connect(await stays.reach("db:5432"))
        (channel,) = [f.carrying.channel for f in hub.router.flows if f.source.site == "west"]
        ours = west.router.trust.credentials
        issued, clock = ours.identity.issued_at, west.router.trust.clock
        await wait_until(lambda: clock() - issued > timedelta(seconds=1), "it is another second")
        chain = authority_of(hub).issue_site(
            make_request(ours.key),
            site="west",
            grants=attrs.evolve(ours.identity.grants, **taken),
        )
        west.router.trust.replace(ours.with_chain(chain))
        assert await ends(goes)
        await other.send_all(b"still here")
        assert await other.receive_some(100) == b"still here"
        assert channel.peer.chain == chain, "who opens flows on it is judged by that, too"
        # Nor does it help to show the former one on another connection.
        west.router.trust.credentials = ours
        west.router.trust._contexts.clear()
        west.router.data.channels.pools.renew()
        west.router.data.attachments.listeners.identity_changed()
        west.router.data.ingress.routes_changed()
        await wait_until(lambda: listener_of(west).state == "open", "it believes that it may")
        refused = hub.router.flows.refused
        await dial(port)
        await wait_until(lambda: hub.router.flows.refused > refused, "it may not")


async def test_words_that_are_not_valid_change_nothing():
    async with star(other=()) as net:
        hub = net.sites["hub"]
        with pytest.raises(InvalidName, match=r"'tag:'.* is not valid for sites"):
            await hub.expose("db:5432", free_port(), allow_from=("tag:",))
        assert not load_config(net.paths("hub").config_file).connectors


async def test_words_that_mean_nobody_are_told_of():
    async with star(west=("prod",)) as net:
        hub = net.sites["hub"]
        for words, told in (
            (("wst", "tag:prd", "west"), "no other site that is known here is wst or tag:prd"),
            (("w*", "tag:prod", "hub"), ""),
        ):
            spec = ConnectorSpec(address="db:5432", target=str(free_port()), allow_from=words)
            assert told in (await hub.ask(api.EXPOSE, spec)).detail
            assert bool(told) == ("no other site" in (await hub.ask(api.EXPOSE, spec)).detail)


def test_a_service_of_an_older_site_is_for_all():
    assert (Service("a:1", "tcp").allow_from, Service("a:1", "tcp").is_limited) == ((), False)
