"""The control API's server: one request at a time, as HTTP/1.1 has it."""

import json
import stat
from types import NoneType

import pytest
import trio

from van.control.endpoints import ApiEndpoint
from van.control.values.base import MAX_REQUEST, Created
from van.control.values.links import LinkCost
from van.errors import JoinRefused, LocalError, NotFound
from van.router.management import http
from van.router.management.handlers import AnyEndpoint, Handler, Handlers
from van.router.management.http import serve_http
from van.router.reactor.supervisor import Defects


async def greet(site, spec):
    return Created(state=site, detail=str(spec.cost))


def failing(exc):
    async def fail():
        raise exc

    return fail


FAILURES = {
    "/v1/missing": NotFound("no such thing"),
    "/v1/wrong": LocalError("asked wrongly"),
    "/v1/remote": JoinRefused("declined"),
    "/v1/defect": ZeroDivisionError(),
}
BY_ENDPOINT: dict[AnyEndpoint, Handler] = {
    ApiEndpoint("GET", path, NoneType, Created, "Fails."): failing(exc)
    for path, exc in FAILURES.items()
}
BY_ENDPOINT[ApiEndpoint("POST", "/v1/greet/{site}", LinkCost, Created, "Greets.")] = greet
HANDLERS = Handlers(BY_ENDPOINT, BY_ENDPOINT.keys())


@pytest.fixture
async def path(tmp_path, nursery):
    path = tmp_path / "control.sock"
    await nursery.start(serve_http, path, HANDLERS, Defects())
    return path


async def ask(stream, method, target, body=b""):
    """Send one request, and return the code and the body of the answer."""
    head = f"{method} {target} HTTP/1.1\r\nHost: van\r\nContent-Length: {len(body)}\r\n\r\n"
    await stream.send_all(head.encode() + body)
    return await answer(stream)


async def test_head_is_answered_as_get_is_without_the_body(path):
    async with await trio.open_unix_socket(path) as stream:
        for target, code in (("/v1/missing", b"404"), ("/v1/greet/east", b"405")):
            await stream.send_all(f"HEAD {target} HTTP/1.1\r\nHost: van\r\n\r\n".encode())
            text = b""
            while not text.endswith(b"\r\n\r\n"):
                text += await stream.receive_some()
            assert text.split()[1] == code
            assert b"content-length: 0" not in text
        assert b"allow: POST" in text


async def answer(stream):
    text = b""
    while b"\r\n\r\n" not in text:
        text += await stream.receive_some()
    head, _, rest = text.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    while len(rest) < length:
        rest += await stream.receive_some()
    return int(head.split()[1]), json.loads(rest)


async def test_only_the_owner_may_connect(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_one_connection_serves_request_after_request(path):
    async with await trio.open_unix_socket(path) as stream:
        for name in ("east", "west%2Fhub"):
            code, reply = await ask(stream, "POST", f"/v1/greet/{name}?x=1", b'{"cost": 7}')
            assert code == 200
            assert reply == {"state": name.replace("%2F", "/"), "detail": "7"}


@pytest.mark.parametrize(
    ("method", "target", "code", "slug"),
    [
        ("GET", "/v1/missing", 404, "not-found"),
        ("GET", "/v1/nowhere", 404, "not-found"),
        ("GET", "/v1/greet/east", 405, "invalid"),
        ("POST", "/v1/greet", 404, "not-found"),
        ("GET", "/v1/wrong", 400, "invalid"),
        ("POST", "/v1/greet/east", 400, "invalid"),
        ("GET", "/v1/remote", 502, "join-refused"),
        ("GET", "/v1/defect", 500, "defect"),
    ],
)
async def test_each_failure_has_its_code_and_the_connection_lives(path, method, target, code, slug):
    async with await trio.open_unix_socket(path) as stream:
        got, reply = await ask(stream, method, target)
        assert (got, reply["code"]) == (code, slug)
        assert (await ask(stream, "POST", "/v1/greet/x", b'{"cost": 7}'))[0] == 200


async def test_a_request_that_is_too_large_is_answered_and_the_connection_ends(path):
    async with await trio.open_unix_socket(path) as stream:
        head = f"POST /v1/greet/x HTTP/1.1\r\nHost: van\r\nContent-Length: {10**9}\r\n\r\n"
        await stream.send_all(head.encode() + bytes(MAX_REQUEST + 1))
        assert (await answer(stream))[0] == 413
        with trio.fail_after(5):
            try:
                assert not await stream.receive_some()
            except trio.BrokenResourceError:
                pass  # what it had not read by then resets the connection


async def test_what_is_no_http_is_answered_and_the_connection_ends(path):
    async with await trio.open_unix_socket(path) as stream:
        await stream.send_all(b"\x16\x03\x01 hello\r\n\r\n")
        assert (await answer(stream))[0] == 400
        with trio.fail_after(5):
            assert not await stream.receive_some()


async def test_a_client_that_says_nothing_is_let_go(path, monkeypatch):
    monkeypatch.setattr(http, "REQUEST_TIMEOUT", 0.05)
    async with await trio.open_unix_socket(path) as stream:
        with trio.fail_after(5):
            assert not await stream.receive_some()


async def test_the_socket_goes_with_the_server_and_a_dead_one_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_http, path, HANDLERS, Defects())
            nursery.cancel_scope.cancel()
        assert not path.exists()
        with trio.socket.socket(trio.socket.AF_UNIX) as dead:
            await dead.bind(str(path))
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_http, path, HANDLERS, Defects())
        nursery.cancel_scope.cancel()
