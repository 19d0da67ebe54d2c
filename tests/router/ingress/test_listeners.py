"""What is bound is in force, advertised, and on disk, or none of them."""

import attrs
import pytest
import trio

from lab.network import network
from lab.ports import free_port
from van.config import ListenerConfig
from van.config.file import load_config
from van.errors import AlreadyExists, LocalError, NotFound, StorageError
from van.names import Address, Endpoint

DB = Address.parse("db:5432")


def listener(port, address=DB):
    return ListenerConfig("tcp", address, Endpoint("127.0.0.1", port))


def kept(net):
    return list(load_config(net.paths("west").config_file).listeners)


def full_disk(*_):
    raise StorageError("no space left on device")


async def test_a_port_is_bound_and_closed():
    async with network() as net:
        west = await net.start("west")
        listeners = west.router.data.attachments.listeners
        first, second = (listener(free_port()) for _ in range(2))
        assert (await listeners.bind(first)).state == "waiting"
        await listeners.bind(second)
        assert kept(net) == [first, second]
        listeners.unbind("tcp", DB, first.listen)
        assert kept(net) == [second]
        assert [each.listen for each in listeners.statuses()] == [str(second.listen)]
        with pytest.raises(NotFound, match=f"db:5432 at {first.listen} is not bound here"):
            listeners.unbind("tcp", DB, first.listen)
        listeners.unbind("tcp", DB)
        assert not listeners.statuses()
        assert not kept(net)


async def test_a_port_is_bound_again_and_changed_in_place():
    async with network() as net:
        west = await net.start("west")
        listeners = west.router.data.attachments.listeners
        first = listener(free_port())
        await listeners.bind(first)
        assert (await listeners.bind(first)).detail.startswith("already")
        changed = attrs.evolve(first, first_reply=True)
        assert (await listeners.bind(changed)).detail.startswith("changed: first-reply is on")
        assert kept(net) == [changed]
        second = attrs.evolve(listener(free_port()), protocol="udp")
        await listeners.bind(second)
        patient = attrs.evolve(second, idle=5.0)
        assert (await listeners.bind(patient)).detail.startswith("changed: idle is 5 s, was 60 s")
        assert kept(net) == [changed, patient]
        other = await listeners.bind(listener(free_port()))
        assert other.detail.startswith(f"beside {first.listen}")
        with pytest.raises(AlreadyExists, match=f"{first.listen} is bound to db:5432 already"):
            await listeners.bind(attrs.evolve(first, address=Address.parse("web:80")))


async def test_a_change_that_can_not_be_kept_is_not_made(monkeypatch):
    async with network() as net:
        west = await net.start("west")
        listeners = west.router.data.attachments.listeners
        first = listener(free_port())
        await listeners.bind(first)
        monkeypatch.setattr(type(west.router.site.settings), "change", full_disk)
        with pytest.raises(StorageError):
            await listeners.bind(attrs.evolve(first, first_reply=True))
        assert not west.router.data.ingress.listeners[0].config.first_reply


async def test_of_two_requests_to_bind_one_port_one_succeeds():
    async with network() as net:
        west = await net.start("west")
        port = free_port()
        failures = []

        async def bind(address):
            try:
                await west.router.data.attachments.listeners.bind(
                    listener(port, Address.parse(address))
                )
            except AlreadyExists as exc:
                failures.append(exc)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(bind, "a:1")
            nursery.start_soon(bind, "b:1")
        assert len(failures) == 1
        assert len(kept(net)) == 1


async def test_what_can_not_be_kept_is_not_bound_and_what_can_not_be_forgotten_stays(monkeypatch):
    async with network() as net:
        west = await net.start("west")
        await west.router.data.attachments.listeners.bind(listener(free_port()))
        monkeypatch.setattr(type(west.router.site.settings), "change", full_disk)
        with pytest.raises(StorageError):
            await west.router.data.attachments.listeners.bind(listener(free_port()))
        with pytest.raises(StorageError):
            west.router.data.attachments.listeners.unbind("tcp", DB)
        assert len(west.router.data.attachments.listeners.statuses()) == 1


async def test_what_can_not_be_advertised_is_neither_bound_nor_kept(monkeypatch):
    async with network() as net:
        west = await net.start("west")
        monkeypatch.setattr("van.routing.engine.origination.MAX_BODY", 20)
        with pytest.raises(LocalError, match="addresses of this site need"):
            await west.bind("a-name-that-is-rather-long:1")
        assert not west.router.data.attachments.listeners.statuses()
        assert not kept(net)
