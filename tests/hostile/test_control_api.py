"""Clients of the control API that send what they should not."""

import json
import socket
import stat
from types import NoneType

import pytest
import trio

from lab.network import Site, network, wait_until
from tests.hostile.network_under_attack import PATIENCE, descriptors
from van.control.endpoints import ApiEndpoint
from van.control.values.base import MAX_REQUEST, Created
from van.router.management import http
from van.router.management.handlers import Handlers
from van.router.reactor.supervisor import Defects


async def converse(site: Site, data: bytes, *, half_close: bool = True) -> bytes:
    """Send bytes to the control socket, and return all that it answers."""
    path = str(site.router.site.paths.control_socket)
    async with await trio.open_unix_socket(path) as stream:
        got = b""
        with trio.fail_after(PATIENCE):
            try:
                await stream.send_all(data)
                if half_close:
                    await stream.send_eof()
                while part := await stream.receive_some(65536):
                    got += part
            except trio.BrokenResourceError:
                pass
        return got


async def is_alive(site: Site) -> None:
    reply = await converse(site, b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 200")


def request(method: str, path: str, body: bytes) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


BAD_REQUESTS = {
    "garbage": (b"\x00\xff" * 500, 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01" + b"\0" * 600, 400),
    "no-host": (b"GET /v1/status HTTP/1.1\r\n\r\n", 400),
    "head-too-large": (b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 40_000, 431),
    "body-too-large": (request("POST", "/v1/links", b"x" * (MAX_REQUEST + 1)), 413),
    "no-such-path": (request("GET", "/v2/status", b""), 404),
    "root": (request("GET", "/", b""), 404),
    "star": (request("OPTIONS", "*", b""), 404),
    "authority-that-is-none": (request("GET", "//[", b""), 404),
    "escapes": (request("DELETE", "/v1/links/%ff%00%2e%2e", b""), 404),
    "up-and-out": (request("DELETE", "/v1/tokens/..%2f..%2fidentity", b""), 404),
    "no-such-method": (request("BREW", "/v1/status", b""), 405),
    "wrong-method": (request("PUT", "/v1/tokens", b"{}"), 405),
    "no-json": (request("POST", "/v1/links", b"{"), 400),
    "no-text": (request("POST", "/v1/links", b'{"token":"\xff"}'), 400),
    "deep": (request("POST", "/v1/links", b"[" * 100_000), 400),
    "deep-field": (request("POST", "/v1/links", b'{"token":' + b"[" * 100_000), 400),
    "list": (request("POST", "/v1/links", b"[]"), 400),
    "null": (request("POST", "/v1/connectors", b"null"), 400),
    "missing": (request("POST", "/v1/connectors", b"{}"), 400),
    "unknown-field": (request("POST", "/v1/tokens", b'{"admin":true}'), 400),
    "wrong-type": (request("POST", "/v1/connectors", b'{"address":5}'), 400),
    "uses-0": (request("POST", "/v1/tokens", b'{"uses":0}'), 400),
    "uses-huge": (request("POST", "/v1/tokens", b'{"uses":1e99}'), 400),
    "expires-nan": (request("POST", "/v1/tokens", b'{"expires_in":NaN}'), 400),
    "expires-soon": (request("POST", "/v1/tokens", b'{"expires_in":0.1}'), 400),
    "cost-0": (request("PUT", "/v1/links/hub/cost", b'{"cost":0}'), 400),
    "bad-address": (request("POST", "/v1/connectors", b'{"address":"My DB"}'), 400),
    "host-that-is-none": (
        request("POST", "/v1/connectors", b'{"address":"a:1","target":"a..b:1"}'),
        400,
    ),
    "host-with-nul": (
        request("POST", "/v1/connectors", b'{"address":"a:1","target":"a\\u0000b:1"}'),
        400,
    ),
    "port-that-is-none": (
        request("POST", "/v1/listeners", b'{"address":"a:1","listen":"127.0.0.1:0"}'),
        400,
    ),
    "host-far-away": (
        request("POST", "/v1/listeners", b'{"address":"a:1","listen":"192.0.2.1:999"}'),
        502,
    ),
    "unknown-protocol": (
        request("POST", "/v1/listeners", b'{"address":"a:1","protocol":"x"}'),
        400,
    ),
    "bad-pattern": (request("POST", "/v1/tokens", b'{"allow_expose":["a*"]}'), 400),
    "too-many-patterns": (
        request("POST", "/v1/tokens", json.dumps({"allow_bind": ["a" * 60] * 999}).encode()),
        400,
    ),
    "no-token": (request("POST", "/v1/links", b'{"token":"x"}'), 400),
    "event-that-is-none": (request("GET", "/v1/events/last", b""), 400),
    "event-number-huge": (request("GET", "/v1/events/" + "9" * 9999, b""), 400),
    "source-that-is-none": (request("GET", "/v1/network/%ff%00%2e%2e", b""), 404),
    "target-that-is-none": (request("POST", "/v1/trace", b'{"target":"\\u0000"}'), 400),
    "target-unknown": (request("POST", "/v1/trace", b'{"target":"a:1"}'), 404),
    "token-of-signs": (request("POST", "/v1/links", b'{"token":"\\u0000\\u202e"}'), 400),
}


async def test_a_bad_request_is_answered_with_one_line_and_changes_nothing():
    async with network() as net:
        site = await net.start("west")
        config = site.router.site.settings.config
        for name, (data, code) in BAD_REQUESTS.items():
            reply = await converse(site, data)
            head, _, body = reply.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d" % code), (name, reply)
            error = json.loads(body)
            assert set(error) == {"code", "message"}, name
            assert error["message"].strip(), name
            assert "\n" not in error["message"], name
            assert error["code"] != "defect", name
        assert site.router.site.settings.config == config
        assert not site.router.site.ledger.records()
        await is_alive(site)


async def test_requests_one_after_the_other_are_answered_in_turn():
    async with network() as net:
        site = await net.start("west")
        many = b"GET /v1/tokens HTTP/1.1\r\nhost: x\r\n\r\n" * 50
        assert (await converse(site, many)).count(b"HTTP/1.1 200") == 50


async def test_a_client_that_falls_silent_is_ended_in_time(monkeypatch):
    monkeypatch.setattr(http, "REQUEST_TIMEOUT", 0.4)
    async with network() as net:
        site = await net.start("west")

        async def fall_silent_after(part):
            assert not await converse(site, part, half_close=False)

        async with trio.open_nursery() as nursery:
            for part in (
                b"",
                b"GET /v1",
                b"POST /v1/links HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
            ):
                nursery.start_soon(fall_silent_after, part)
        await is_alive(site)


async def test_clients_that_leave_at_any_moment_leave_nothing_behind():
    async with network() as net:
        site = await net.start("west")
        await is_alive(site)
        before = descriptors()
        whole = request("POST", "/v1/connectors", b'{"address":"a:1","target":"127.0.0.1:1"}')
        path = str(site.router.site.paths.control_socket)
        for cut in range(0, len(whole), 3):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                sock.sendall(whole[:cut])
            await trio.lowlevel.checkpoint()
        await wait_until(lambda: descriptors() == before, "the descriptors are back")
        assert not site.router.site.settings.config.connectors
        await is_alive(site)


async def test_two_hundred_clients_at_once_are_all_answered():
    async with network() as net:
        site = await net.start("west")
        done = []

        async def one() -> None:
            await is_alive(site)
            done.append(1)

        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(one)
        assert len(done) == 200


@pytest.mark.slow("waits for as long as a request may take, with two hundred clients")
async def test_two_hundred_clients_that_say_nothing_keep_others_out_for_a_bounded_time(monkeypatch):
    monkeypatch.setattr(http, "REQUEST_TIMEOUT", 0.5)
    async with network() as net:
        site = await net.start("west")
        path = str(site.router.site.paths.control_socket)
        silent = [socket.socket(socket.AF_UNIX) for _ in range(200)]
        for sock in silent:
            sock.setblocking(False)
            sock.connect(path)
        await is_alive(site)
        for sock in silent:
            sock.close()


async def test_what_a_defect_is_answered_with_does_not_end_the_router(caplog):
    async def broken() -> object:
        raise ZeroDivisionError

    endpoint = ApiEndpoint("GET", "/x", NoneType, Created, "Fails.")
    handlers = Handlers({endpoint: broken}, [endpoint])
    async with network() as net, trio.open_nursery() as nursery:
        site = await net.start("west")
        path = site.router.site.paths.state_dir / "x.sock"
        await nursery.start(http.serve_http, path, handlers, Defects())
        async with await trio.open_unix_socket(str(path)) as stream:
            await stream.send_all(request("GET", "/x", b""))
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 500")
        assert "ZeroDivisionError" in caplog.text
        nursery.cancel_scope.cancel()


async def test_only_the_owner_may_ask():
    async with network() as net:
        site = await net.start("west")
        mode = site.router.site.paths.control_socket.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert stat.S_IMODE(site.router.site.paths.state_dir.stat().st_mode) == 0o700
