"""What a site does with its authority is in its audit trail, and on disk before the answer."""

import pytest

from lab.network import network, wait_until
from tests.router.links.test_expelling import expel
from van.control import endpoints as api
from van.control.values.authority import AuthorityGrantSpec, RootRollSpec
from van.control.values.expulsions import ForgetSpec
from van.control.values.policy import PolicySpec
from van.control.values.tokens import TokenCreate
from van.errors import JoinRefused, StorageError
from van.router.site import trail as files
from van.tls.credentials import Credentials

pytestmark = pytest.mark.slow("routers are started and linked")


async def trail(site):
    found = await site.ask(api.AUDIT)
    assert found.troubles == ()
    return [(each.kind, each.subject) for each in found.records]


async def test_what_an_authority_does_is_recorded():
    async with network() as net:
        hub, west, east = [await net.start(name) for name in ("hub", "west", "east")]
        for each in (west, east):
            await net.link(each, hub, can_invite=True)
        await wait_until(
            lambda: hub.router.routes.fib.routes.keys() == {"hub", "west", "east"}, "all are known"
        )
        minted = [each.id for each in await hub.ask(api.LIST_TOKENS)]
        assert sorted(await trail(hub)) == sorted(
            [("site-let-in", "west"), ("site-let-in", "east")]
            + [("token-minted", each) for each in minted]
        )
        before = len(await trail(hub))
        await hub.ask(api.GRANT_AUTHORITY, AuthorityGrantSpec(site="east"))
        await hub.ask(api.SET_POLICY, PolicySpec(is_closed=True))
        await hub.ask(api.REVOKE_TOKEN, id=minted[0])
        await expel(hub, "west", reason="stolen")
        await expel(hub, "west")  # is already
        east.scope.cancel()
        await wait_until(lambda: "east" not in hub.router.routes.fib.routes, "it is away")
        await hub.ask(api.FORGET, ForgetSpec(site="east"))
        assert (await trail(hub))[before:] == [
            ("authority-granted", "east"),
            ("policy-changed", ""),
            ("token-revoked", minted[0]),
            ("site-expelled", "west"),
            ("site-forgotten", "east"),
        ]
        told = (await hub.ask(api.AUDIT)).records
        assert told[-2].text.endswith(": stolen")
        assert {each.site for each in told} == {"hub"}


async def test_who_is_refused_is_recorded_and_why():
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        with pytest.raises(JoinRefused, match="declined"):
            await net.link(west, hub, names=("dbhost",))
        record = (await hub.ask(api.AUDIT)).records[-1]
        assert (record.kind, record.subject) == ("site-refused", "west")
        assert "dbhost" in record.text


async def test_what_can_not_be_recorded_is_not_done(monkeypatch):
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)

        def full(*_):
            raise StorageError("no space left on device")

        monkeypatch.setattr(files, "append_at", full)
        with pytest.raises(StorageError):
            await expel(hub, "west")
        assert not len(hub.router.trust.expulsions)
        with pytest.raises(StorageError):
            await hub.ask(api.SET_POLICY, PolicySpec(is_closed=True))
        assert (await hub.ask(api.POLICY)).version == 0
        with pytest.raises(StorageError):
            await hub.ask(api.CREATE_TOKEN, TokenCreate())
        states = {each.state for each in await hub.ask(api.LIST_TOKENS)}
        assert "valid" not in states
        monkeypatch.undo()
        assert isinstance(hub.router.trust.credentials, Credentials)
        assert (await expel(hub, "west")).is_new


async def test_that_the_root_is_replaced_is_recorded():
    async with network() as net:
        hub = await net.start("hub")
        await hub.ask(api.ROLL_ROOT, RootRollSpec(is_trial=True))
        assert await trail(hub) == []
        await hub.ask(api.ROLL_ROOT, RootRollSpec())
        await hub.ask(api.ROLL_ROOT, RootRollSpec(finish=True))
        assert await trail(hub) == [("root-replaced", ""), ("root-replaced", "")]
