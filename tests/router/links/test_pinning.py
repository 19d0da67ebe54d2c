"""A name stays with its key, everywhere and over restarts, until an authority frees it."""

import itertools
import shutil
from datetime import timedelta
from functools import partial

import pytest

from lab.network import network, wait_until
from tests.router.links.restarting import restart_with
from tests.router.links.test_expelling import restart, told
from van.config import LinkConfig
from van.control import endpoints as api
from van.control.values.expulsions import ExpelSpec, ForgetSpec
from van.control.values.links import LinkAccept
from van.control.values.tokens import TokenCreate
from van.errors import (
    JoinRefused,
    LocalError,
    NameTaken,
    NotAllowed,
    NotFound,
    StorageError,
)
from van.names import Endpoint
from van.router.links.join_client import JoinClient
from van.router.site.pin_file import PinFile
from van.router.telemetry.events import EventKind
from van.tls.credentials import Credentials
from van.tls.grants import Grants
from van.tls.keys import generate_key, make_request
from van.tls.tokens import decode_token

pytestmark = pytest.mark.slow("routers are started, linked, and restarted")


async def line(net, *names, **options):
    """Link sites in a line, to the first one that makes the VAN, until all know all."""
    sites = [await net.start(name) for name in names]
    for one, two in itertools.pairwise(sites):
        await net.link(two, one, can_invite=True, **options)
    await wait_until(
        lambda: all(s.router.routes.fib.routes.keys() >= {*names} - {s.name} for s in sites),
        "all are known",
    )
    return sites


def key_of(site):
    return site.router.trust.identity.public_key_fingerprint


def pinned(site, name):
    pin = site.router.trust.pins.holder(name)
    return pin and pin.key


def has_pinned(site, name, key):
    return pinned(site, name) == key


async def wipe(net, name):
    """Stop a site and take away all that it has on disk, as with its machine."""
    net.sites[name].scope.cancel()
    paths = net.paths(name)
    await wait_until(lambda: not paths.control_socket.exists(), "it is down")
    shutil.rmtree(paths.state_dir)
    shutil.rmtree(paths.config_dir)


async def token_of(site, **options):
    return (await site.ask(api.CREATE_TOKEN, TokenCreate(**options))).token


async def accept(site, token):
    return await site.ask(api.ACCEPT_TOKEN, LinkAccept(token=token))


async def forget(site, name, **options):
    return await site.ask(api.FORGET, ForgetSpec(site=name, **options))


def is_away(name, *sites):
    return all(name not in each.router.routes.fib.routes for each in sites)


async def test_a_name_stays_with_its_key_though_that_is_away_and_all_restart():
    async with network() as net:
        hub, east, db = await line(net, "hub", "east", "db")
        former = key_of(db)
        await wait_until(
            lambda: {pinned(each, "db") for each in (hub, east)} == {former}, "both have seen it"
        )
        await wipe(net, "db")
        await wait_until(partial(is_away, "db", hub, east), "it is gone")
        await wait_until(
            lambda: (
                {"hub", "db"}
                <= {
                    each.site
                    for each in PinFile(net.paths("east").pins_file).load(hub.router.trust.van_id)
                }
            ),
            "it is on disk",
        )
        hub, east = await restart(net, "hub"), await restart(net, "east")
        assert [pinned(each, "db") for each in (hub, east)] == [former, former]
        db = await net.start("db")
        for each in (hub, east):
            with pytest.raises(JoinRefused, match="--for db --replaces"):
                await accept(db, await token_of(each, names=("db",)))


async def test_a_wiped_machine_is_back_under_its_name_by_two_commands():
    async with network() as net:
        hub, east, db = await line(net, "hub", "east", "dbhost")
        former = key_of(db)
        await wipe(net, "dbhost")
        await wait_until(partial(is_away, "dbhost", hub, east), "it is gone")
        outcome = await forget(hub, "dbhost")  # van site forget dbhost
        assert (outcome.key, outcome.is_new) == (former, True)
        assert outcome.seen is not None
        db = await net.start("dbhost")
        await accept(db, await token_of(east))  # and any token
        await wait_until(lambda: "dbhost" in hub.router.routes.fib.routes, "it is back")
        await everybody_tells(hub, east, former, key_of(db))
        assert (await forget(hub, "dbhost", key=former)).is_new is False


async def everybody_tells(hub, east, former, key):
    for each in (hub, east):
        await wait_until(partial(has_pinned, each, "dbhost", key), "it is known")
        assert told(each, EventKind.SITE_FORGOTTEN, "dbhost")
        (text,) = told(each, EventKind.SITE_KEY_CHANGED, "dbhost")
        assert key[:16] in text
        assert former[:16] in text
        assert "was given up by" in text


async def test_or_by_one_token_that_says_whose_name_it_gives():
    async with network() as net:
        hub, east, db = await line(net, "hub", "east", "dbhost")
        former = key_of(db)
        await wipe(net, "dbhost")
        await wait_until(partial(is_away, "dbhost", hub, east), "it is gone")
        db = await net.start("dbhost")
        token = await token_of(hub, names=("dbhost",), replaces=True)
        await accept(db, token)
        await wait_until(lambda: "dbhost" in east.router.routes.fib.routes, "it is back")
        await everybody_tells(hub, east, former, key_of(db))
        other = await net.start("other")
        with pytest.raises(JoinRefused, match="is for dbhost"):
            await accept(other, token)


async def test_the_former_key_gets_in_no_more():
    async with network() as net:
        hub, east, db = await line(net, "hub", "east", "db")
        for paths in (net.paths("db"),):
            for each in (paths.state_dir, paths.config_dir):
                shutil.copytree(
                    each, each.with_name("kept"), ignore=shutil.ignore_patterns("*.sock")
                )
        await wipe(net, "db")
        await wait_until(partial(is_away, "db", hub, east), "it is gone")
        await forget(hub, "db")
        paths = net.paths("db")
        for each in (paths.state_dir, paths.config_dir):
            each.with_name("kept").rename(each)
        db = await net.start("db")
        await wait_until(lambda: told(db, EventKind.LINK_FAILED, "east"), "it tries")
        assert "was given up by" in told(db, EventKind.LINK_FAILED, "east")[0]
        with pytest.raises(JoinRefused, match="was given up by"):
            await accept(db, await token_of(hub, names=("db",), replaces=True))


async def test_an_inviting_site_can_give_nobody_the_name_of_another(monkeypatch):
    """Though it dates a certificate back, lets its holder link up, and passes on what that says."""
    async with network() as net:
        hub, east, db = await line(net, "hub", "east", "db")
        thief = await net.start("thief")
        await net.link(thief, hub, can_invite=True)
        await wait_until(lambda: pinned(thief, "db"), "it knows db")
        former = key_of(db)
        db.scope.cancel()
        await wait_until(partial(is_away, "db", hub, east, thief), "it is away")
        for each in (net.paths("db").state_dir, net.paths("db").config_dir):
            each.rename(each.with_name("true-db"))
        liar = await restart_with(net, await net.start("db"), backdated(thief, "db"))
        monkeypatch.setattr(thief.router.trust, "_check_member", lambda _: None)
        monkeypatch.setattr(thief.router.trust, "admitted", lambda _: None)
        await thief.router.link_port.open(Endpoint("127.0.0.1", 0))
        for host in (thief, hub, east):
            endpoint = host.router.link_port.endpoint
            assert endpoint is not None
            liar.router.links.dial(LinkConfig(host.name, (endpoint,)))
        await wait_until(lambda: "db" in thief.router.links.up, "it has a link")
        for each in (hub, east):
            await wait_until(partial(told, liar, EventKind.LINK_FAILED, each.name), "it tries")
            assert "that of another key" in told(liar, EventKind.LINK_FAILED, each.name)[0]
        dropped = hub.router.routes.engine.dropped
        await wait_until(lambda: dropped.get("name-taken"), "what it says is not believed")
        assert is_away("db", hub, east)
        assert [pinned(each, "db") for each in (hub, east)] == [former, former]
        liar.scope.cancel()
        await wait_until(lambda: "db" not in thief.router.links.up, "it is gone")
        for each in (net.paths("db").state_dir, net.paths("db").config_dir):
            shutil.rmtree(each)
            each.with_name("true-db").rename(each)
        db = await net.start("db")
        await wait_until(lambda: "db" in hub.router.routes.fib.routes, "it is back")
        assert db.router.routes.engine.held()[0].incarnation < 9


def backdated(thief, site):
    """Return what an inviting site can give to somebody in another's name."""
    ours = thief.router.trust.credentials
    key, past = generate_key(), ours.identity.issued_at - timedelta(days=5000)
    chain = ours.authority.issue_site(
        make_request(key),
        site=site,
        grants=Grants(),
        lifetime=timedelta(days=6000),
        now=past,
        first_issued=past,
    )
    return Credentials(key, chain, ours.root, None)


async def test_where_two_parts_of_a_network_disagree_the_word_of_an_authority_counts():
    async with network() as net:
        root, left, right = [await net.start(name) for name in ("root", "left", "right")]
        for side in (left, right):
            await net.link(side, root, can_invite=True)
        await wait_until(lambda: "right" in left.router.routes.fib.routes, "all are known")
        token = await token_of(right)
        root.router.links.delete("right", "apart for a while")
        await wait_until(lambda: not right.router.links.up, "the sides are apart")
        first = await net.start("x")
        await net.link(first, left)
        await wait_until(lambda: pinned(root, "x"), "one side knows its x")
        for each in (net.paths("x").state_dir, net.paths("x").config_dir):
            each.rename(each.with_name("first-x"))
        second = await net.start("x")
        await accept(second, token)
        await wait_until(lambda: pinned(right, "x") == key_of(second), "the other one its own")
        await net.link(right, root)
        await wait_until(lambda: "right" in left.router.routes.fib.routes, "they are one again")
        dropped = right.router.routes.engine.dropped
        await wait_until(lambda: dropped.get("name-taken"), "each holds on to its own")
        assert [pinned(each, "x") for each in (root, left, right)] == [
            key_of(first),
            key_of(first),
            key_of(second),
        ]
        with pytest.raises(LocalError, match="is up"):
            await forget(root, "x")
        await forget(root, "x", key=key_of(second))
        for site in (root, left, right):
            await wait_until(partial(knows_as, site, "x", key_of(first)), "all agree")
        (text,) = told(right, EventKind.SITE_KEY_CHANGED, "x")
        assert "was given up by" in text


def knows_as(site, name, key):
    identity = site.router.routes.identity_of(name)
    return identity and identity.public_key_fingerprint == key == pinned(site, name)


async def test_what_frees_a_name_has_to_be_lost_known_and_of_this_authority():
    async with network() as net:
        hub, east, _db = await line(net, "hub", "east", "db")
        with pytest.raises(LocalError, match="van site expel db"):
            await forget(hub, "db")
        with pytest.raises(LocalError, match="can't forget itself"):
            await forget(hub, "hub")
        with pytest.raises(NotFound, match="not known here"):
            await forget(hub, "nobody")
        leaf = await net.start("leaf")
        await net.link(leaf, hub)
        await wait_until(lambda: "db" in leaf.router.routes.fib.routes, "it is known")
        with pytest.raises(NotAllowed, match="holds no authority"):
            await forget(leaf, "db")
        leaf.scope.cancel()
        await wait_until(partial(is_away, "leaf", hub, east), "it is gone")
        with pytest.raises(NotAllowed, match="does not rest on this site's authority"):
            await forget(east, "leaf")
        trial = await forget(hub, "leaf", is_trial=True)
        assert trial.is_new
        assert pinned(hub, "leaf") == trial.key
        assert len(hub.router.trust.expulsions) == 0


async def test_a_token_replaces_nobody_whom_its_authority_is_not_above():
    async with network() as net:
        hub, east, _ = await line(net, "hub", "east", "db")
        leaf = await net.start("leaf")
        await net.link(leaf, hub)
        await wait_until(lambda: pinned(east, "leaf"), "it is known")
        await wipe(net, "leaf")
        leaf = await net.start("leaf")
        token = await token_of(east, names=("leaf",), replaces=True)
        with pytest.raises(JoinRefused, match="does not rest on this site's authority"):
            await accept(leaf, token)
        (record,) = [each for each in east.router.site.ledger.records() if each.names == ("leaf",)]
        assert record.used_by == ()


async def test_a_token_replaces_nobody_who_is_there():
    async with network() as net:
        hub, east, db = await line(net, "hub", "east", "db")
        token = await token_of(hub, names=("db",), replaces=True)
        taker = Credentials.create("db")
        with pytest.raises(JoinRefused, match="is up, and has its key"):
            await JoinClient().join(taker, decode_token(token), is_member=False)
        assert pinned(hub, "db") == pinned(east, "db") == key_of(db)
        assert not any("db" in dict(each.used_by) for each in hub.router.site.ledger.records())
        await wipe(net, "db")
        await wait_until(partial(is_away, "db", hub, east), "it is gone")
        await accept(await net.start("db"), token)


async def test_a_name_is_not_given_where_that_can_not_be_kept(monkeypatch):
    async with network() as net:
        hub, east, _db = await line(net, "hub", "east", "db")
        await wipe(net, "db")
        await wait_until(partial(is_away, "db", hub, east), "it is gone")

        def full(*_):
            raise StorageError("disk is full")

        with monkeypatch.context() as patch:
            patch.setattr("van.router.site.expulsion_file.ExpulsionFile.save", full)
            with pytest.raises(StorageError):
                await forget(hub, "db")
        assert pinned(hub, "db")
        assert pinned(east, "db")


async def test_an_expelled_key_leaves_its_name_at_once():
    async with network() as net:
        hub, east, _ = await line(net, "hub", "east", "db")
        await hub.ask(api.EXPEL, ExpelSpec(site="db"))
        await wait_until(lambda: pinned(east, "db") is None, "its name is free")
        await wipe(net, "db")
        db = await net.start("db")
        await accept(db, await token_of(hub))
        await wait_until(lambda: pinned(east, "db") == key_of(db), "it has its name")


async def test_a_site_s_own_name_is_that_of_its_own_key():
    async with network() as net:
        hub = await net.start("hub")
        trust = hub.router.trust
        other = trust.credentials.authority.issue_site(
            make_request(generate_key()), site="hub", grants=Grants()
        )
        for judge in (trust.verify, partial(trust.identify, "hub")):
            with pytest.raises(NameTaken, match="is this site's own"):
                judge(other)
        assert trust.verify(trust.chain()) == trust.identity
