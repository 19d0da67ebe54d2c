"""The root is replaced under a running network: nothing is lost, and the old one counts no more."""

from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import attrs
import pytest
import trio

from lab.network import network, wait_until
from tests.router.links.restarting import restart_with
from van.control import endpoints as api
from van.control.values.authority import AuthorityGrantSpec, AuthorityRestore, RootRollSpec
from van.control.values.expulsions import ExpelSpec
from van.control.values.policy import PolicySpec
from van.errors import LocalError, NotAllowed
from van.router.links import renewal
from van.router.management.status import router_status
from van.router.subscription import Subscribers
from van.router.telemetry.events import EventKind
from van.tls.authority import Authority
from van.tls.backup import texts_of
from van.tls.credentials import Credentials
from van.tls.expulsion import sign_expulsion
from van.tls.expulsion_list import ExpulsionList
from van.tls.grants import FULL
from van.tls.keys import make_request
from van.tls.policy import sign_policy

pytestmark = pytest.mark.slow("routers are started, linked, and restarted")


def authority_of(site):
    return site.router.trust.credentials.authority


def roots_of(site):
    return site.router.trust.identity.roots


async def roll(site, **options):
    return await site.ask(api.ROLL_ROOT, RootRollSpec(**options))


async def echo(stream):
    with suppress(trio.BrokenResourceError):
        async for data in stream:
            await stream.send_all(data)


async def three(net, **options):
    """Start a hub that makes the VAN, and two sites that it lets in."""
    hub, west, east = [await net.start(name) for name in ("hub", "west", "east")]
    for each in (west, east):
        await net.link(each, hub, **options)
    names = {"hub", "west", "east"}
    sites = (hub, west, east)
    await wait_until(
        lambda: all(each.router.routes.identities().keys() >= names for each in sites),
        "all are known",
    )
    return sites


def have_followed(hub, *sites):
    return all(roots_of(each) == authority_of(hub).roots for each in sites)


def told(hub, *sites):
    """Tell whether the hub has seen that sites have followed."""
    identities = [hub.router.routes.identity_of(each.name) for each in sites]
    return all(each and each.roots == authority_of(hub).roots for each in identities)


@asynccontextmanager
async def live_flow(client, server, nursery):
    """Lend what checks that a flow between two sites, which was open before, still passes bytes."""
    target = (await nursery.start(trio.serve_tcp, echo, 0))[0].socket.getsockname()[1]
    address = f"{server.name}:7"
    await server.expose(address, target)
    port = await client.reach(address)
    stream = await trio.open_tcp_stream("127.0.0.1", port)

    async def check(data=b"x"):
        await stream.send_all(data)
        with trio.fail_after(10):
            assert await stream.receive_some() == data

    async with stream:
        await check()
        yield check


async def test_no_flow_is_lost_and_who_was_away_in_the_middle_comes_back():
    async with trio.open_nursery() as nursery, network() as net:
        hub, west, east = await three(net)
        away = await net.start("away")
        await net.link(away, hub)
        van, before = hub.router.trust.van_id, away.router.trust.identity
        async with (
            live_flow(west, east, nursery) as over_the_hub,
            live_flow(hub, west, nursery) as from_the_hub,
        ):
            away.scope.cancel()
            await wait_until(lambda: "away" not in hub.router.links.up, "it is away")
            links = [west.router.links.up["hub"], east.router.links.up["hub"]]
            assert (await roll(hub)).state == "rolling"
            await wait_until(partial(have_followed, hub, hub, west, east), "all have followed")
            for check in (over_the_hub, from_the_hub):
                await check()
            # It was away when its root was replaced, and has its old certificate.
            away = await net.start("away")
            assert away.router.trust.identity == before
            await wait_until(partial(have_followed, hub, away), "it follows as well")
            await wait_until(partial(told, hub, west, east, away), "the hub is told")
            assert (await hub.ask(api.AUTHORITIES)).roll.pending == ()
            assert (await roll(hub, finish=True)).state == "finished"
            await wait_until(
                lambda: all(
                    each.router.trust.is_replaced(before.roots) for each in (west, east, away)
                ),
                "all are told",
            )
            for check in (over_the_hub, from_the_hub):
                await check()
            assert [each.close_reason for each in links] == ["", ""]
        assert {each.router.trust.van_id for each in (hub, west, east, away)} == {van}
        assert (await west.ask(api.AUTHORITIES)).roll is None
        nursery.cancel_scope.cancel()


async def test_all_is_kept_by_a_restart_and_the_key_of_the_old_root_is_gone():
    async with network() as net:
        hub, west, east = await three(net)
        old = authority_of(hub)
        await roll(hub)
        kept = Credentials.load(net.paths("hub").identity_file)
        assert kept.authority.roots == authority_of(hub).roots
        assert kept.authority.key.private_numbers() != old.key.private_numbers()
        await wait_until(partial(have_followed, hub, west, east), "all have followed")
        await wait_until(partial(told, hub, west, east), "the hub is told")
        await roll(hub, finish=True)
        await wait_until(lambda: west.router.trust.is_replaced(old.roots), "all are told")
        for each in (hub, west, east):
            each.scope.cancel()
        await wait_until(lambda: not hub.router.links.up, "all are down")
        hub, west, east = [await net.start(name) for name in ("hub", "west", "east")]
        await wait_until(lambda: hub.router.links.up.keys() == {"west", "east"}, "all are back")
        for each in (hub, west, east):
            assert each.router.trust.is_replaced(old.roots)
            assert roots_of(each) == authority_of(hub).roots
        new = await net.start("new")
        await net.link(new, hub)
        assert new.router.trust.van_id == hub.router.trust.van_id
        await wait_until(lambda: new.router.trust.is_replaced(old.roots), "it is told as well")


async def test_a_roll_while_one_is_under_way_changes_nothing():
    async with network() as net:
        hub, west, east = await three(net)
        with pytest.raises(LocalError, match="no root is being replaced"):
            await roll(hub, finish=True)
        with pytest.raises(NotAllowed, match="does not hold the root of the VAN"):
            await roll(west)
        await roll(hub)
        credentials = hub.router.trust.credentials
        with pytest.raises(LocalError, match=r"is being replaced already, and . of 3 sites have"):
            await roll(hub)
        assert hub.router.trust.credentials is credentials
        await wait_until(partial(told, hub, west, east), "all have followed")
        trial = await roll(hub, finish=True, is_trial=True)
        assert (trial.renewed, trial.pending) == (("east", "hub", "west"), ())
        assert not len(hub.router.trust.expulsions)
        await roll(hub, finish=True)
        await roll(hub)
        assert len(authority_of(hub).roots) == 3
        await wait_until(partial(have_followed, hub, west, east), "all follow once more")


async def test_a_stolen_root_is_worth_nothing_once_it_is_out():
    async with network() as net:
        hub, west, east = await three(net)
        stolen, member = authority_of(hub), west.router.trust.credentials
        thief = await net.start("thief")
        await net.link(thief, hub)
        await roll(hub)
        await wait_until(partial(told, hub, west, east, thief), "all have followed")
        await roll(hub, finish=True)
        # It makes itself a member, an authority, and another successor, and expels.
        own = thief.router.trust.credentials
        for root in (stolen, stolen.roll()):
            held = own.with_authority(root)
            thief = await restart_with(net, thief, held)
            await wait_until(partial(failures, thief), "it tries")
            assert "the root of the VAN was replaced" in failures(thief)[0]
            assert not thief.router.links.up
        token = await hub.ask(api.CREATE_TOKEN, api.CREATE_TOKEN.request())
        await thief.ask(api.ACCEPT_TOKEN, api.ACCEPT_TOKEN.request(token=token.token))
        assert have_followed(hub, thief), "it is let in by a token, as anybody"
        assert authority_of(thief) is None
        # What it had signed before with another date is not taken now.
        statement = sign_with(stolen, member)
        assert hub.router.trust.expulsions.add(statement) is None


def sign_with(root, member):
    from van.tls.expulsion import sign_expulsion

    identity = member.identity
    at = datetime.now(UTC) - timedelta(days=1)
    key = identity.public_key_fingerprint
    return sign_expulsion(root, site=identity.site, key=key, at=at, reason="")


def failures(site):
    events = site.router.control.events.after(0)
    return [each.text for each in events if each.kind is EventKind.LINK_FAILED]


async def test_who_has_not_followed_is_told_and_keeps_its_name_by_a_new_token():
    async with network() as net:
        hub, west, east = await three(net)
        east.scope.cancel()
        await wait_until(lambda: "east" not in hub.router.links.up, "it is away")
        await roll(hub)
        await wait_until(partial(told, hub, west), "the other one has followed")
        trial = await roll(hub, finish=True, is_trial=True)
        assert (trial.renewed, trial.pending) == (("hub", "west"), ("east",))
        assert "east" in west.router.routes.identities()
        await roll(hub, finish=True)
        for each in (hub, west):
            await wait_until(partial(is_unknown, each, "east"), "it is forgotten")
        east = await net.start("east")
        await wait_until(lambda: failures(east), "it tries")
        assert "the root of the VAN was replaced" in failures(east)[0]
        assert router_status(east.router, 0.0).router.is_behind
        key = east.router.trust.identity.public_key_fingerprint
        await net.link(east, hub)
        assert have_followed(hub, east)
        assert not router_status(east.router, 0.0).router.is_behind
        assert east.router.trust.identity.public_key_fingerprint == key
        await wait_until(lambda: "west" in east.router.routes.fib.routes, "it is a member again")


def is_unknown(site, name):
    return name not in site.router.routes.identities()


async def test_it_comes_back_by_its_old_key_while_the_old_root_counts():
    async with network() as net:
        hub, _, east = await three(net)
        ours, root = east.router.trust.credentials, authority_of(hub)
        ended = datetime.now(UTC) - timedelta(days=20)
        chain = root.issue_site(
            make_request(ours.key), site="east", grants=ours.identity.grants,
            now=ended - timedelta(days=7), first_issued=ended,
        )  # fmt: skip
        await roll(hub)
        east = await restart_with(net, east, attrs.evolve(ours, chain=chain))
        await wait_until(lambda: "hub" in east.router.links.up, "it is back")
        assert have_followed(hub, east)


async def test_authorities_below_and_beside_follow_and_so_do_those_whom_they_let_in():
    async with network() as net:
        hub, west, east = await three(net, can_invite=True)
        below = await net.start("below")
        await net.link(below, west)
        await wait_until(lambda: "below" in hub.router.routes.fib.routes, "it is known")
        await hub.ask(api.GRANT_AUTHORITY, AuthorityGrantSpec(site="east"))
        await roll(hub)
        everyone = (hub, west, east, below)
        await wait_until(partial(have_followed, hub, *everyone), "all have followed")
        assert authority_of(east).is_granted
        assert authority_of(west).roots == authority_of(east).roots == authority_of(hub).roots
        assert below.router.trust.identity.issuers == ("west",)
        assert west.router.trust.identity.issuers == ()


async def test_what_the_network_allows_is_said_again_by_the_new_root():
    async with network() as net:
        hub, west, east = await three(net)
        stolen = authority_of(hub)
        rules = '[[rule]]\naction = "allow"\nfrom = ["west"]\nto = ["db"]\n'
        await hub.ask(api.SET_POLICY, PolicySpec(is_closed=False))
        await hub.ask(api.SET_POLICY, PolicySpec(is_closed=True, document=rules))
        said = hub.router.control.governing.present().statement
        await roll(hub)
        await wait_until(partial(told, hub, west, east), "all have followed")
        await roll(hub, finish=True)
        await wait_until(lambda: west.router.trust.is_replaced(stolen.roots), "it is told")
        book = west.router.trust.policies
        forged = sign_policy(stolen, version=99, is_closed=False, document="", at=0.0)
        book.put(book.examine(forged))
        for each in (hub, west):
            present = each.router.control.governing.present()
            assert present.roots == authority_of(hub).roots
            assert present.statement.is_closed
            assert present.statement.document == said.document
            assert present.statement.version == said.version + 1, "it is not an older one"


async def test_what_the_new_root_has_said_itself_is_not_said_again():
    async with network() as net:
        hub, west, east = await three(net)
        await roll(hub)
        await wait_until(partial(told, hub, west, east), "all have followed")
        await hub.ask(api.SET_POLICY, PolicySpec(is_closed=True))
        present = hub.router.control.governing.present()
        await roll(hub, finish=True)
        assert hub.router.control.governing.present() is present


@pytest.mark.parametrize(("each_site", "spread"), [(1000.0, renewal.MAX_SPREAD), (0.5, 1.0)])
async def test_sites_follow_one_after_the_other_and_not_all_at_once(monkeypatch, each_site, spread):
    async with network() as net:
        hub, west = [await net.start(name) for name in ("hub", "west")]
        await net.link(west, hub)
        await wait_until(lambda: len(west.router.routes.fib.routes) == 2, "both are known")
        monkeypatch.setattr(renewal, "SPREAD", each_site)
        monkeypatch.setattr("random.uniform", lambda _, highest: highest)
        now = west.router.trust.clock()
        west.router.trust.clock = lambda: now
        await roll(hub)
        await wait_until(lambda: west.router.trust.is_behind, "it has heard")
        assert west.router.renewer._due() == now + timedelta(seconds=spread)
        assert not have_followed(hub, west)


async def test_nobody_is_asked_who_has_not_followed_yet():
    async with network() as net:
        hub, west, east = await three(net, can_invite=True)
        below = await net.start("below")
        await net.link(below, west)
        for each in (west, east, below):
            each.router.trust.succession.rolled = Subscribers()
        renewer = below.router.renewer
        await wait_until(lambda: set(renewer._authorities()) == {"hub", "west", "east"}, "as ever")
        await roll(hub)
        await wait_until(lambda: renewer._authorities() == ["hub"], "only the new one")


async def test_the_new_root_expels_who_has_not_followed_yet():
    async with network() as net:
        hub, west, east = await three(net)
        for each in (west, east):
            each.router.trust.succession.rolled = Subscribers()
        await roll(hub)
        assert (await hub.ask(api.EXPEL, ExpelSpec(site="west"))).is_new
        await wait_until(lambda: "west" not in hub.router.links.up, "it is out")
        await wait_until(lambda: "west" not in east.router.routes.identities(), "everywhere")


async def test_the_old_root_is_out_by_itself_when_nobody_comes_back_any_more():
    async with network() as net:
        hub, west, east = await three(net)
        await roll(hub)
        await wait_until(partial(told, hub, west, east), "all have followed")
        rolling, trust = hub.router.control.rolling, hub.router.trust
        ends = (await hub.ask(api.AUTHORITIES)).roll.ends_at
        assert ends == authority_of(hub).issued_at + timedelta(days=60)
        assert (await west.ask(api.AUTHORITIES)).roll.ends_at is None
        clock = trust.clock
        trust.clock = lambda: ends - timedelta(seconds=1)
        rolling._look()
        assert rolling.progress() is not None
        trust.clock = lambda: ends
        rolling._look()
        trust.clock = clock
        assert rolling.progress() is None


async def test_a_back_up_of_the_old_root_is_not_restored_and_a_copy_of_it_gives_up():
    async with network() as net:
        hub, west, east = await three(net)
        old = AuthorityRestore(**texts_of(authority_of(hub)))
        await east.ask(api.RESTORE_AUTHORITY, old)
        assert authority_of(east).is_root
        await roll(hub)
        await wait_until(lambda: len(east.router.trust.succession.newest) == 2, "it is told")
        with pytest.raises(NotAllowed, match=r"has a successor already|does not hold the root"):
            await roll(east)
        await wait_until(partial(have_followed, hub, west, east), "all have followed")
        assert authority_of(east) is None
        await wait_until(partial(told, hub, west, east), "the hub is told")
        await roll(hub, finish=True)
        await wait_until(
            lambda: west.router.trust.is_replaced(roots_of(hub).previous), "it is told"
        )
        with pytest.raises(LocalError, match="back-up is of a root that was replaced since"):
            await west.ask(api.RESTORE_AUTHORITY, old)
        new = AuthorityRestore(**texts_of(authority_of(hub)))
        await west.ask(api.RESTORE_AUTHORITY, new)
        assert authority_of(west).is_root
        assert isinstance(authority_of(west), Authority)
        assert west.router.trust.identity.grants == FULL


async def test_the_new_root_says_again_who_is_out_so_that_those_believe_it_who_have_not_heard():
    async with network() as net:
        hub, west, east = [await net.start(name) for name in ("hub", "west", "east")]
        await net.link(west, hub, can_invite=True)
        await net.link(east, hub)
        below = await net.start("below")
        await net.link(below, west)
        gone = await net.start("gone")
        await net.link(gone, hub)
        known = {"below", "gone", "east"}
        await wait_until(lambda: known <= hub.router.routes.fib.routes.keys(), "all are known")
        members = [each.router.trust.identity for each in (below, gone)]
        await west.ask(api.EXPEL, ExpelSpec(site="below", reason="stolen"))
        await hub.ask(api.EXPEL, ExpelSpec(site="gone"))
        false = statement_of(west, east)  # it is not above that one, nor beside it
        hub.router.control.expelling.add([false])
        await wait_until(lambda: len(east.router.trust.expulsions) == 3, "it is told")
        before = tuple(east.router.trust.expulsions)
        listed = await hub.ask(api.EXPULSIONS)
        await roll(hub)
        await wait_until(partial(have_followed, hub, hub, west, east), "all have followed")
        events = len(told_of(east, EventKind.SITE_EXPELLED))
        await roll(hub, finish=True)
        roots = roots_of(hub)
        await wait_until(lambda: east.router.trust.is_replaced(roots.previous), "it is told")
        *both, third = await hub.ask(api.EXPULSIONS)
        assert both == list(listed[:2]), "nobody is listed twice"
        assert (third.site, third.state) == ("east", "overruled")
        assert len(told_of(east, EventKind.SITE_EXPELLED)) == events, "nor told of"

        newcomer = ExpulsionList(hub.router.trust.credentials.root)
        for each in [*east.router.trust.expulsions][::-1]:
            newcomer.add(each.expulsion)
        assert not {each.expulsion.id for each in before} & set(newcomer.ids())
        assert all(newcomer.find(each) is not None for each in members)
        said = {each.expulsion.site: each for each in newcomer if not each.successor}
        assert said.keys() == {"below", "gone"}
        assert said["below"].expulsion.reason == "stolen"
        assert all(each.roots == roots for each in said.values())


async def test_the_new_root_says_again_only_what_was_said_of_those_below_by_their_own_keys():
    async with network() as net:
        hub, west, east = [await net.start(name) for name in ("hub", "west", "east")]
        await net.link(west, hub, can_invite=True)
        await net.link(east, hub)
        below = await net.start("below")
        await net.link(below, west)
        gone = await net.start("gone")
        await net.link(gone, hub)
        known = {"west", "east", "below", "gone"}
        await wait_until(lambda: known <= hub.router.routes.fib.routes.keys(), "all are known")
        former = gone.router.trust.identity
        await hub.ask(api.EXPEL, ExpelSpec(site="gone"))
        pins = hub.router.trust.pins
        await wait_until(lambda: pins.holder("gone") is None, "its name is free")
        gone = await made_anew(net, gone)
        await net.link(gone, hub)
        key = gone.router.trust.identity.public_key_fingerprint
        await wait_until(lambda: pins.get("gone").key == key, "another one has its name")
        # West stands above that name, though not above the key; and there is no such site.
        false = [statement_of(west, east, of=name) for name in ("below", "nobody")]
        hub.router.control.expelling.add(false)
        await roll(hub)
        staying = (hub, west, east, below, gone)
        await wait_until(partial(have_followed, hub, *staying), "all have followed")
        await wait_until(partial(told, hub, *staying[1:]), "the hub is told")
        await roll(hub, finish=True)
        roots = roots_of(hub)
        await wait_until(lambda: east.router.trust.is_replaced(roots.previous), "it is told")

        newcomer = ExpulsionList(hub.router.trust.credentials.root)
        for each in [*hub.router.trust.expulsions][::-1]:
            newcomer.add(each.expulsion)
        assert newcomer.find(former) is not None, "a root's word counts, whoever has the name now"
        for each in staying:
            assert newcomer.find(each.router.trust.identity) is None, each.name
        said = [each.expulsion.site for each in newcomer if not each.successor]
        assert said == ["gone"]


async def made_anew(net, site):
    """Start a site of the same name, with another key, in the place of one."""
    site.scope.cancel()
    paths = net.paths(site.name)
    await wait_until(lambda: not paths.control_socket.exists(), "the router has stopped")
    paths.identity_file.unlink()
    paths.config_file.unlink()
    return await net.start(site.name)


def told_of(site, kind):
    return [each for each in site.router.control.events.after(0) if each.kind is kind]


def statement_of(site, other, *, of=None):
    """Return a statement by one site that another one's key is out, whose date is far ahead; of a
    site of another name, if that is given."""
    identity = other.router.trust.identity
    return sign_expulsion(
        authority_of(site),
        site=of or other.name,
        key=identity.public_key_fingerprint,
        at=datetime(2090, 1, 1, tzinfo=UTC),
        reason="",
    )
