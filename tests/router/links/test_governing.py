"""What the VAN allows is in force everywhere at once, for good, whoever was away then."""

from functools import partial

import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from tests.router.links.test_expelling import expel
from tests.router.test_access import (
    DB,
    connect,
    ends,
    is_not_allowed,
    listener_of,
    name_server,
    star,
)
from van.control import endpoints as api
from van.control.values.authority import AuthorityGrantSpec
from van.control.values.policy import PolicyCheckSpec, PolicySpec
from van.errors import ConfigError, NotAllowed, StorageError
from van.router.links import keeping
from van.router.site.policy_file import PolicyFile
from van.router.telemetry.events import EventKind
from van.tls.authority import Authority
from van.tls.policy import sign_policy
from van.wire.policy import Policies

pytestmark = pytest.mark.slow("routers are started, linked, and restarted")

PROD = '[[rule]]\naction = "allow"\nfrom = ["tag:prod"]\nto = ["db"]\n'
DENY = '[[rule]]\naction = "deny"\nfrom = ["*"]\nto = ["db"]\n'


async def say(site, **spec):
    return await site.ask(api.SET_POLICY, PolicySpec(**spec))


async def show(site):
    return await site.ask(api.POLICY)


async def stop(net, name):
    net.sites[name].scope.cancel()
    await wait_until(lambda: net.sites[name].router.links.up == {}, "it is down")


async def check(site, source, address="db:5432"):
    found = await site.ask(api.CHECK_POLICY, PolicyCheckSpec(source=source, address=address))
    return found, [(each.site, each.is_allowed, each.reason) for each in found.verdicts]


def version(site):
    found = site.router.control.governing.present()
    return 0 if found is None else found.statement.version


async def is_in_force(number, *sites):
    await wait_until(lambda: {version(each) for each in sites} == {number}, "it is in force")


async def test_in_a_closed_van_nothing_is_reached_but_what_somebody_says():
    async with star(prod=("prod",), other=()) as net:
        hub, prod, other = net.sites["hub"], net.sites["prod"], net.sites["other"]
        server = await name_server(net, "prod")
        await prod.expose("db:5432", server)
        held, _ = await connect(await other.reach("db:5432"))
        own, _ = await connect(await prod.reach("db:5432"))
        done = await say(hub, is_closed=True)
        assert (done.state, done.version, done.is_new) == ("closed", 1, True)
        assert await ends(held)
        await is_not_allowed(other, "the VAN is closed, and no rule or list is for this site")
        await own.send_all(b"still here")  # what a site exposes it reaches itself
        assert await own.receive_some(100) == b"still here"
        assert not (await say(hub, is_closed=True)).is_new
        # By a list where it is exposed, or by a rule.
        await prod.expose("db:5432", server, allow_from=("other",))
        await wait_until(lambda: listener_of(other).state == "open", "it is let in by the list")
        assert (await connect(listener_port(other)))[1] == "prod"
        await prod.expose("db:5432", server, allow_from=())
        await is_not_allowed(other, "the VAN is closed")
        await say(hub, document=PROD.replace("tag:prod", "oth*"))
        await wait_until(lambda: listener_of(other).state == "open", "it is let in by a rule")
        held, _ = await connect(listener_port(other))
        # A rule that denies counts more than the list.
        await prod.expose("db:5432", server, allow_from=("other",))
        await say(hub, document=DENY)
        assert await ends(held)
        await is_not_allowed(other, "line 1 of the policy: deny * to db")
        await say(hub, document="", is_closed=False)
        await wait_until(lambda: listener_of(other).state == "open", "all is as before")
        told = [
            each.text
            for each in other.router.control.events.after(0)
            if each.kind is EventKind.POLICY_CHANGED
        ]
        assert told[0] == "the VAN is closed, with 0 rules: version 1, by the root"


def listener_port(site):
    return int(listener_of(site).listen.rpartition(":")[2])


async def test_the_egress_goes_by_the_policy_whatever_the_ingress_has_heard():
    async with star(prod=("prod",), other=()) as net:
        hub, other = net.sites["hub"], net.sites["other"]
        await hub.expose("db:5432", await name_server(net, "hub"))
        port = await other.reach("db:5432")
        other.router.data.ingress.reach._access = _AllowsAll()
        await say(hub, is_closed=True)
        await is_in_force(1, hub, other)
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            assert await ends(stream)
        assert "the VAN is closed" in listener_of(other).detail


class _AllowsAll:
    def why_not_here(self, *_args, **_options):
        return ""


async def test_who_is_away_hears_of_it_and_it_outlives_restarts():
    async with star(west=(), east=()) as net:
        hub, west = net.sites["hub"], net.sites["west"]
        await stop(net, "east")
        await say(hub, is_closed=True, document=PROD)
        await is_in_force(1, hub, west)
        for name in ("hub", "west"):
            await stop(net, name)
        west = await net.start("west")
        # From its disk, with nobody there to tell.
        assert (await show(west)).document == PROD
        assert not _is_open(west)
        hub, east = await net.start("hub"), await net.start("east")
        await is_in_force(1, hub, west, east)


async def test_only_an_authority_that_may_says_it_and_it_is_gone_with_it():
    async with star(west=(), east=()) as net:
        hub, west, east = (net.sites[name] for name in ("hub", "west", "east"))
        with pytest.raises(NotAllowed, match="an authority second to it, says what the VAN allows"):
            await say(west, is_closed=True)
        await say(hub, is_closed=True)
        await is_in_force(1, hub, west, east)
        await hub.ask(api.GRANT_AUTHORITY, AuthorityGrantSpec(site="west"))
        await say(west, is_closed=False)
        await is_in_force(2, hub, west, east)
        assert (await show(east)).by == "west"
        assert not (await show(east)).is_closed
        await expel(hub, "west")
        await is_in_force(1, hub, east)
        await wait_until(lambda: not (_is_open(hub) or _is_open(east)), "it is closed again")


async def test_one_that_is_forged_ends_the_link_and_changes_nothing():
    async with star(west=()) as net:
        hub, west = net.sites["hub"], net.sites["west"]
        stranger = Authority.create_root()
        statement = sign_policy(stranger, version=9, is_closed=True, document="", at=1.0)
        link = west.router.links.up["hub"]
        link.send(Policies((statement,)))
        await wait_until(
            lambda: any(
                "signature does not hold" in each.text
                for each in hub.router.control.events.after(0)
            ),
            "the link is ended",
        )
        assert version(hub) == 0


async def test_where_it_can_not_be_kept_it_is_not_said_but_what_comes_is_in_force(monkeypatch):
    monkeypatch.setattr(keeping, "KEEP_INTERVAL", 0.01)
    async with star(west=()) as net:
        hub, west = net.sites["hub"], net.sites["west"]
        save, full = PolicyFile.save, True

        def save_if_there_is_room(self, policies):
            if full:
                raise StorageError("no space left on device")
            save(self, policies)

        monkeypatch.setattr(PolicyFile, "save", save_if_there_is_room)
        with pytest.raises(StorageError):
            await say(hub, is_closed=True)
        assert version(hub) == version(west) == 0
        full = False
        await say(hub, is_closed=True)
        full = True
        await is_in_force(1, hub, west)
        full = False
        await wait_until(net.paths("west").policies_file.exists, "it is kept after all")


async def test_a_damaged_file_is_told_of_and_nothing_is_opened():
    async with star(west=()) as net:
        await say(net.sites["hub"], is_closed=True)
        await is_in_force(1, *net.sites.values())
        await stop(net, "west")
        net.paths("west").policies_file.write_bytes(b"x")
        with pytest.raises(StorageError, match="is damaged: put back a copy of it"):
            await net.start("west")


async def test_rules_are_checked_and_what_never_counts_is_warned_of():
    async with star(prod=("prod",), other=()) as net:
        hub = net.sites["hub"]
        with pytest.raises(ConfigError, match="policy:2: action: 'drop' is not known"):
            await say(hub, document='[[rule]]\naction = "drop"')
        assert version(hub) == 0
        done = await say(hub, document=PROD + DENY + PROD + PROD.replace("tag:prod", "tag:prdo"))
        assert done.warnings == (
            "line 9 never counts (allow tag:prod to db), after line 1: allow tag:prod to db",
            "line 13 never counts (allow tag:prdo to db), after line 5: deny * to db",
            "line 13: 'tag:prdo' means no site that is known here",
        )
        await hub.expose("db:5432", free_port())
        found, verdicts = await check(hub, "prod")
        assert found.tags == ("prod",)
        assert verdicts == [("", True, "line 1 of the policy: allow tag:prod to db")]
        server = await name_server(net, "hub")
        await hub.expose("db:5432", server, allow_from=("other",))
        routes = hub.router.routes
        await wait_until(
            lambda: [each.allow_from for each in routes.fib.terms.get(DB, ())] == [("other",)],
            "the table has it",
        )
        assert (await check(hub, "other"))[1] == [
            ("hub", False, "line 5 of the policy: deny * to db")
        ]
        assert (await check(hub, "prod"))[1] == [("hub", False, "it is exposed for other only")]
        assert (await check(hub, "hub"))[1] == [
            ("hub", True, "a site always reaches what it exposes itself")
        ]
        found, verdicts = await check(hub, "nobody", "web:80")
        assert found.tags is None
        assert verdicts == [("", True, "the VAN is open")]


async def test_a_site_that_comes_into_another_van_leaves_its_policy():
    async with network() as net:
        west, hub = await net.start("west"), await net.start("hub")
        await say(west, is_closed=True)
        assert not _is_open(west)
        await net.link(west, hub)
        await wait_until(partial(_is_open, west), "it is open as its new VAN is")


def _is_open(site):
    return not site.router.data.egress.targets._access.policy.is_closed
