"""Requests that come at the same moment, or fail half-way, leave the site as it should be."""

import pytest
import trio

from lab.network import network
from lab.ports import free_port
from van.config import load_config
from van.control import endpoints as api
from van.control.values.attachments import ListenerSpec
from van.control.values.tokens import TokenCreate
from van.errors import AlreadyExists, LocalError
from van.router.site.settings import Settings


async def test_of_two_requests_to_bind_one_port_one_succeeds():
    async with network() as net:
        west = await net.start("west")
        port = free_port()
        failures = []

        async def bind(address):
            spec = ListenerSpec(address=address, listen=f"127.0.0.1:{port}")
            try:
                await west.ask(api.BIND, spec)
            except AlreadyExists as exc:
                failures.append(exc)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(bind, "a:1")
            nursery.start_soon(bind, "b:1")
        assert len(failures) == 1
        assert len(load_config(net.paths("west").config_file).listeners) == 1


async def test_what_can_not_be_advertised_is_neither_bound_nor_kept(monkeypatch):
    async with network() as net:
        west = await net.start("west")
        monkeypatch.setattr("van.routing.engine.engine.MAX_BODY", 20)
        with pytest.raises(LocalError, match="addresses of this site need"):
            await west.bind("a-name-that-is-rather-long:1")
        (listening,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        with pytest.raises(LocalError, match="addresses of this site need"):
            await west.expose("a-name-that-is-rather-long:1", listening.socket.getsockname()[1])
        await listening.aclose()
        assert not west.router.ingress.listeners
        assert not west.router.egress.connectors
        config = Settings.load(net.paths("west").config_file).config
        assert not config.listeners
        assert not config.connectors


async def test_two_tokens_at_the_same_moment_open_one_link_port():
    async with network() as net:
        west = await net.start("west")
        created = []

        async def create():
            created.append(await west.ask(api.CREATE_TOKEN, TokenCreate()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(create)
            nursery.start_soon(create)
        assert created[0].addresses == created[1].addresses
