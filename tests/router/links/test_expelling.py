"""Who is expelled is out at once, everywhere, for good, whoever was away when it happened."""

from contextlib import suppress
from functools import partial

import pytest
import trio

from lab.network import network, wait_until
from van.control import endpoints as api
from van.control.values.expulsions import ExpelSpec, ForgetSpec
from van.errors import JoinRefused, LocalError, NotAllowed, NotFound, StorageError
from van.router.links import keeping
from van.router.management.status import router_status
from van.router.site.expulsion_file import ExpulsionFile
from van.router.telemetry.events import EventKind
from van.tls.credentials import Credentials
from van.tls.expulsion import sign_expulsion, sign_forgetting
from van.tls.expulsion_list import ExpulsionList

pytestmark = pytest.mark.slow("routers are started, linked, and restarted")


async def echo(stream):
    with suppress(trio.BrokenResourceError):
        async for data in stream:
            await stream.send_all(data)


async def expel(site, name, **options):
    return await site.ask(api.EXPEL, ExpelSpec(site=name, **options))


async def star(net, **options):
    """Start a hub that makes the VAN, and two sites that it lets in."""
    hub = await net.start("hub")
    leaves = [await net.start(name) for name in ("west", "east")]
    for leaf in leaves:
        await net.link(leaf, hub, **options)
    sites = [leaves[0], hub, leaves[1]]
    names = {site.name for site in sites}
    await wait_until(
        lambda: all(site.router.routes.fib.routes.keys() >= names for site in sites),
        "all are known",
    )
    return sites


def knows(site, name):
    return site.router.routes.identity_of(name) is not None


def told(site, kind, subject):
    return [
        each.text
        for each in site.router.control.events.after(0)
        if (each.kind, each.subject) == (kind, subject)
    ]


async def restart(net, name):
    net.sites[name].scope.cancel()
    await wait_until(lambda: net.sites[name].router.links.up == {}, "it is down")
    return await net.start(name)


async def test_links_flows_and_addresses_of_the_expelled_end_everywhere():
    async with trio.open_nursery() as nursery, network() as net:
        west, hub, east = await star(net)
        target = (await nursery.start(trio.serve_tcp, echo, 0))[0].socket.getsockname()[1]
        await east.expose("db:1", target)
        await west.expose("web:1", target)
        from_west = await west.reach("db:1")
        to_west = await east.reach("web:1")
        ports = (from_west, to_west)
        held = [await trio.open_tcp_stream("127.0.0.1", port) for port in ports]
        for each in held:
            await each.send_all(b"x")
            assert await each.receive_some() == b"x"
        outcome = await expel(hub, "west", reason="stolen")
        assert (outcome.is_new, outcome.invited, outcome.unreachable) == (True, (), ())
        with trio.fail_after(5):
            for each in held:
                with suppress(trio.BrokenResourceError):
                    assert await each.receive_some() == b"", "it ends, or is reset"
                await each.aclose()
        await wait_until(lambda: not knows(hub, "west") and not knows(east, "west"), "forgotten")
        assert "west" not in hub.router.links.up
        services = east.router.routes
        await wait_until(lambda: ("tcp", "web:1") not in services.fib.services, "not served")
        for site in (hub, east):
            (text,) = told(site, EventKind.SITE_EXPELLED, "west")
            assert text.endswith(": stolen")
        nursery.cancel_scope.cancel()


async def test_the_expelled_gets_in_no_more_with_all_that_it_has():
    async with network() as net:
        west, hub, _ = await star(net)
        token = await hub.ask(api.CREATE_TOKEN, api.CREATE_TOKEN.request())
        await expel(hub, "west")
        west = await restart(net, "west")
        await wait_until(lambda: told(west, EventKind.LINK_FAILED, "hub"), "it tries")
        assert "was expelled" in told(west, EventKind.LINK_FAILED, "hub")[0]
        with pytest.raises(JoinRefused, match="was expelled"):
            await west.ask(api.ACCEPT_TOKEN, api.ACCEPT_TOKEN.request(token=token.token))
        for name in ("hub", "east"):
            site = await restart(net, name)
            assert [each.expulsion.site for each in site.router.trust.expulsions] == ["west"]
        await wait_until(lambda: "east" in net.sites["hub"].router.links.up, "the link is back")
        assert "west" not in net.sites["hub"].router.links.up


async def test_who_was_away_hears_of_it_before_anything_else():
    async with network() as net:
        west, hub, east = await star(net, can_invite=True)
        await net.link(west, east)
        east.scope.cancel()
        await wait_until(lambda: "east" not in hub.router.links.up, "it is away")
        await expel(hub, "west")
        east = await net.start("east")
        await wait_until(lambda: "hub" in east.router.links.up, "it is back")
        await wait_until(lambda: len(east.router.trust.expulsions) == 1, "it has heard")
        await wait_until(lambda: "west" not in east.router.links.up, "that link ends too")
        assert not knows(east, "west")


async def test_whom_the_expelled_let_in_goes_with_it():
    async with network() as net:
        hub, west, below = await net.start("hub"), await net.start("west"), await net.start("below")
        await net.link(west, hub, can_invite=True)
        await net.link(below, west)
        await wait_until(lambda: "below" in hub.router.routes.fib.routes, "it is known")
        trial = await expel(hub, "west", is_trial=True)
        assert (trial.is_new, trial.invited, trial.unreachable) == (True, ("below",), ("below",))
        assert knows(hub, "west")
        await expel(hub, "west")
        assert not knows(hub, "west")
        assert not knows(hub, "below")
        assert (await expel(hub, "west")).is_new is False
        # By another, it may be let in again, with the key that it has.
        key = below.router.trust.identity.public_key
        await net.link(below, hub)
        await wait_until(lambda: knows(hub, "below"), "it is a member again")
        assert below.router.trust.identity.public_key == key
        assert below.router.trust.identity.issuers == ()
        assert not knows(hub, "west")


async def test_the_name_is_free_again_for_a_new_key():
    async with network() as net:
        west, hub, _ = await star(net)
        await expel(hub, "west")
        west.scope.cancel()
        await wait_until(lambda: west.router.links.up == {}, "it is down")
        paths = net.paths("west")
        for each in (paths.identity_file, paths.config_file):
            each.unlink()
        west = await net.start("west")
        await net.link(west, hub)
        await wait_until(lambda: knows(hub, "west"), "it is a member")
        assert len(west.router.trust.expulsions) == 1


async def test_who_may_not_expel_is_told_where_it_can_be_done():
    async with network() as net:
        west, hub, _ = await star(net)
        with pytest.raises(NotAllowed, match="holds no authority"):
            await expel(west, "hub")
        with pytest.raises(LocalError, match="can't expel itself"):
            await expel(hub, "hub")
        with pytest.raises(NotFound, match="not known here"):
            await expel(hub, "nobody")
        inviting = await net.start("inviting")
        await net.link(inviting, hub, can_invite=True)
        await wait_until(lambda: knows(inviting, "west"), "it knows the others")
        for name in ("west", "hub"):
            with pytest.raises(NotAllowed, match="does not rest on this site's authority"):
                await expel(inviting, name)
        assert "west" in hub.router.links.up
        assert not list(hub.router.trust.expulsions)


async def test_a_site_that_has_left_is_expelled_by_what_is_known_of_it():
    async with network() as net:
        west, hub, _ = await star(net)
        key = west.router.trust.identity.public_key_fingerprint
        west.scope.cancel()
        await wait_until(lambda: "west" not in hub.router.links.up, "it is away")
        hub = await restart(net, "hub")
        assert not knows(hub, "west")
        assert (await expel(hub, "west")).key == key
        (listed,) = await hub.ask(api.EXPULSIONS)
        assert (listed.site, listed.key, listed.by) == ("west", key, "")


async def test_nobody_is_expelled_by_a_command_that_can_not_be_kept():
    async with network() as net:
        _, hub, east = await star(net)
        net.paths("hub").expulsions_file.mkdir()  # so that no file can take its place
        with pytest.raises(StorageError):
            await expel(hub, "west")
        assert not list(hub.router.trust.expulsions)
        assert "west" in hub.router.links.up
        net.paths("hub").expulsions_file.rmdir()
        assert (await expel(hub, "west")).is_new
        await wait_until(lambda: len(east.router.trust.expulsions) == 1, "it is told")
        assert kept(net, "hub") == ["west"]


async def test_what_a_neighbor_says_is_in_force_before_it_can_be_kept(monkeypatch):
    monkeypatch.setattr(keeping, "KEEP_INTERVAL", 0.01)
    async with network() as net:
        _, hub, east = await star(net, can_invite=True)
        net.paths("east").expulsions_file.mkdir()
        await expel(hub, "west")
        await wait_until(lambda: not knows(east, "west"), "it is out there")
        with pytest.raises(StorageError):
            east.router.control.expelling.keep()
        net.paths("east").expulsions_file.rmdir()
        await wait_until(lambda: kept(net, "east") == ["west"], "it is on disk")


def kept(net, name):
    """Return whom the file of a site says to be out."""
    site = net.sites[name].router.site
    found = ExpulsionList(site.trust.credentials.root)
    site.expulsion_file.load(found)
    return [each.expulsion.site for each in found]


async def test_a_list_that_is_damaged_is_not_taken_for_an_empty_one(home):
    path = home / "expulsions"
    path.write_bytes(b"not a list")
    with pytest.raises(StorageError, match="is damaged"):
        ExpulsionFile(path).load(ExpulsionList(Credentials.create("west").root))


# -- authorities beside each other -------------------------------------------------------------


def authority_of(site):
    return site.router.trust.credentials.authority


def statement(by, whom):
    """Return what an authority says without having heard of anything."""
    key = whom.router.trust.identity.public_key_fingerprint
    now = by.router.trust.clock()
    return sign_expulsion(authority_of(by), site=whom.name, key=key, at=now, reason="")


def out_at(site, names):
    """Return who of some sites is out by what another one knows."""
    trust = site.router.trust
    return {name for name, identity in names.items() if trust.is_expelled(identity)}


def is_out_at(site, names, name):
    return out_at(site, names) == {name}


def both_out(site):
    return router_status(site.router, 0.0).both_out


def are_out(site, *pair):
    return both_out(site) == (pair,)


async def test_two_equals_that_expel_each_other_are_both_out_until_the_root_settles_it():
    async with network() as net:
        west, hub, east = await star(net, can_invite=True)
        plain = await net.start("plain")
        await net.link(plain, hub)
        await wait_until(lambda: knows(west, "east") and knows(plain, "west"), "all are known")
        before = {each.name: each.router.trust.identity for each in (hub, west, east, plain)}
        answer = statement(east, west)  # made before it has heard of anything

        trial = await expel(west, "east", is_trial=True)
        assert (trial.may_answer, trial.has_answered) == (True, False)
        assert (await expel(west, "east")).is_new
        await wait_until(lambda: not knows(plain, "east"), "it is out")
        hub.router.control.expelling.add([answer])
        await wait_until(lambda: not knows(plain, "west"), "so is the other one")
        for site in (hub, plain):
            assert out_at(site, before) == {"west", "east"}
            await wait_until(partial(are_out, site, "east", "west"), "it says so")
            (text,) = told(site, EventKind.SITE_EXPELLED, "west")
            assert "'east' and 'west' have expelled each other, and both are out" in text
        listed = {(each.site, each.by, each.state) for each in await hub.ask(api.EXPULSIONS)}
        assert listed == {("east", "west", "mutual"), ("west", "east", "mutual")}
        await wait_until(lambda: west.router.trust.exclusion() != "", "it is told why")
        assert "both are out" in west.router.trust.exclusion()
        assert (await expel(west, "east", is_trial=True)).is_new is False
        plain = await restart(net, "plain")
        await wait_until(lambda: "hub" in plain.router.links.up, "it is back")
        assert out_at(plain, before) == {"west", "east"}

        trial = await expel(hub, "east", is_trial=True)
        assert (trial.is_new, trial.may_answer, trial.readmitted) == (True, False, ("west",))
        await expel(hub, "east", reason="stolen")
        await wait_until(lambda: knows(plain, "west"), "it is a member again")
        for site in (hub, plain):
            assert out_at(site, before) == {"east"}
            assert both_out(site) == ()
            (text,) = told(site, EventKind.EXPULSIONS_OVERRULED, "east")
            assert "its word that west is out counts for those below it alone" in text
        listed = {(each.site, each.by, each.state) for each in await hub.ask(api.EXPULSIONS)}
        assert listed == {
            ("east", "west", "in force"),
            ("west", "east", "overruled"),
            ("east", "", "in force"),
        }
        await wait_until(lambda: west.router.trust.exclusion() == "", "it is told that too")
        token = await hub.ask(api.CREATE_TOKEN, api.CREATE_TOKEN.request())
        await west.ask(api.ACCEPT_TOKEN, api.ACCEPT_TOKEN.request(token=token.token))


async def test_it_is_said_that_nobody_hears_of_it():
    async with network() as net:
        west, hub, east = await star(net, can_invite=True)
        await wait_until(lambda: knows(west, "east"), "all are known")
        assert (await expel(west, "east", is_trial=True)).unheard == ""
        await expel(hub, "west")
        await wait_until(lambda: west.router.trust.exclusion() != "", "it is told")
        unheard = (await expel(west, "east", is_trial=True)).unheard
        assert unheard.startswith("this site, 'west', is out itself: site 'west' was expelled by")
        east.scope.cancel()
        await wait_until(lambda: not hub.router.links.up, "it is alone")
        unheard = (await expel(hub, "east", is_trial=True)).unheard
        assert unheard == "this site, 'hub', has no link, and tells them once it has one"


async def test_the_nearer_of_two_wins_whatever_came_first():
    async with network() as net:
        hub, west, east, below = [
            await net.start(name) for name in ("hub", "west", "east", "below")
        ]
        await net.link(west, hub, can_invite=True)
        await net.link(east, hub, can_invite=True)
        await net.link(below, east, can_invite=True)
        await wait_until(lambda: knows(west, "below") and knows(below, "west"), "all are known")
        before = {each.name: each.router.trust.identity for each in (west, below)}
        with pytest.raises(NotAllowed, match="does not rest on this site's authority"):
            await expel(below, "west")
        hub.router.control.expelling.add([statement(below, west)])
        assert out_at(hub, before) == set()
        await wait_until(lambda: len(west.router.trust.expulsions) == 1, "it has heard")
        trial = await expel(west, "below", is_trial=True)
        assert (trial.may_answer, trial.readmitted) == (False, ())
        await expel(west, "below")
        for site in (hub, east, west):
            await wait_until(partial(is_out_at, site, before, "below"), "it is out")
        assert "west" in hub.router.links.up


async def test_who_is_to_be_expelled_is_not_safe_from_it_by_a_word_of_its_own():
    async with network() as net:
        west, hub, _ = await star(net, can_invite=True)
        key = west.router.trust.identity.public_key_fingerprint
        for sign in (sign_expulsion, sign_forgetting):
            options = {"reason": ""} if sign is sign_expulsion else {}
            now = hub.router.trust.clock()
            own = sign(authority_of(west), site="west", key=key, at=now, **options)
            hub.router.control.expelling.add([own])
        assert not hub.router.trust.is_expelled(west.router.trust.identity)
        assert (await expel(hub, "west")).is_new
        assert hub.router.trust.is_expelled(west.router.trust.identity)


async def test_a_name_is_not_free_by_a_word_that_does_not_count():
    async with network() as net:
        west, hub, east = await star(net, can_invite=True)
        names = hub.router.control.names
        key = east.router.trust.identity.public_key_fingerprint
        now = hub.router.trust.clock()
        lost = sign_forgetting(authority_of(west), site="east", key=key, at=now)
        hub.router.control.expelling.add([lost, statement(west, east)])
        assert hub.router.trust.is_expelled(east.router.trust.identity)
        with pytest.raises(JoinRefused, match="'east' is taken"):
            names.check("east", "5" * 64)
        trial = await hub.ask(api.FORGET, ForgetSpec(site="east", is_trial=True))
        assert trial.is_new, "who may say so, can still say it"
        await expel(hub, "east")
        names.check("east", "5" * 64)
