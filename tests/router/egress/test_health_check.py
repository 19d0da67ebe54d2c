"""What a look at a target finds, and how it is told."""

import contextlib
import socket
import struct

import attrs
import pytest
import trio
import trio.testing

from lab.limits import FAST
from tests.router.egress.examples import ADDRESS, connector
from tests.router.flow.test_pending import full_backlog
from van.config import Check
from van.router.egress.health_check import MAX_BODY, look_at
from van.router.egress.instance import ALL_WELL, Verdict

OK = b"HTTP/1.1 200 OK\r\n"
HURRIED = attrs.evolve(FAST, check_timeout=0.05)


async def look(nursery, serve, check, limits=FAST):
    """Serve each connection with a coroutine, and return what a look at that finds."""
    (listener,) = await nursery.start(lambda task_status: trio.serve_tcp(
        serve, 0, host="127.0.0.1", task_status=task_status
    ))  # fmt: skip
    return await look_at_port(listener.socket.getsockname()[1], check, limits)


async def look_at_port(port, check, limits=FAST):
    (instance,) = connector(f"127.0.0.1:{port}").instances
    return await look_at(instance, check, ADDRESS, limits)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "GET / got no answer: the connection was closed"),
        (b"SSH-2.0-x\x07\r\n\r\n", "GET / got what is no HTTP: 'SSH-2.0-x?'"),
        (b"HTTP/1.1 100 Wait\r\n\r\nHTTP/1.1 302 There\r\ncontent-length: 0\r\n\r\n", ""),
        (b"HTTP/1.0 200 OK\r\n\r\nwell", ""),
        (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", ""),
        (b"HTTP/1.1 503 \r\ncontent-length: 0\r\n\r\n", "GET / got 503 Service Unavailable"),
        (b"HTTP/1.1 404 Not here\r\ncontent-length: 0\r\n\r\n", "GET / got 404 Not here"),
        (b"HTTP/1.1 799 \r\ncontent-length: 0\r\n\r\n", "GET / got 799"),
        (OK + b"content-length: 9\r\n\r\nbroken", "GET / got 200 OK, but not all of the answer"),
    ],
)
async def test_what_a_server_answers_is_told(said, why, nursery):
    async def serve(stream):
        async with stream:
            await stream.receive_some(4096)
            await stream.send_all(said)

    finding = await look(nursery, serve, Check("/"))
    assert finding.why == why
    assert finding.verdict is (Verdict.FAILED if why else Verdict.WELL)


async def test_an_answer_is_read_to_its_end(nursery):
    is_whole = False

    async def serve(stream):
        nonlocal is_whole
        async with stream:
            await stream.receive_some(4096)
            await stream.send_all(OK + b"content-length: 500000\r\n\r\n" + bytes(250_000))
            await trio.sleep(0)
            await stream.send_all(bytes(250_000))
            is_whole = await stream.receive_some(1) == b""  # an orderly end, and no reset

    assert await look(nursery, serve, Check("/")) == ALL_WELL
    await trio.testing.wait_all_tasks_blocked()
    assert is_whole


async def test_no_more_of_an_answer_is_read_than_is_enough(nursery):
    sent = 0

    async def serve(stream):
        nonlocal sent
        async with stream:
            await stream.receive_some(4096)
            await stream.send_all(OK + b"\r\n")
            with contextlib.suppress(trio.BrokenResourceError):
                while True:
                    await stream.send_all(bytes(65536))
                    sent += 65536

    assert await look(nursery, serve, Check("/")) == ALL_WELL
    await trio.testing.wait_all_tasks_blocked()
    assert MAX_BODY <= sent + 65536 < 100 * MAX_BODY


async def test_a_server_that_resets_what_it_is_asked_is_told(nursery):
    async def serve(stream):
        await stream.receive_some(4096)
        reset(stream)

    finding = await look(nursery, serve, Check("/"))
    assert finding.verdict is Verdict.FAILED
    assert finding.why == "GET / got no answer: connection reset by peer"


def reset(stream):
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


@pytest.mark.parametrize("check", [None, Check()], ids=["no check", "tcp"])
async def test_a_target_that_takes_connections_and_resets_them_is_well(check, nursery):
    async def serve(stream):
        reset(stream)

    for _ in range(20):
        assert await look(nursery, serve, check) == ALL_WELL


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "GET / got no answer in 0.05 s"),
        (OK + b"\r\nand so on", "GET / got 200 OK, but not all of the answer in 0.05 s"),
    ],
)
async def test_a_server_that_takes_its_time_is_silent_and_not_failing(said, why, nursery):
    async def serve(stream):
        await stream.receive_some(4096)
        await stream.send_all(said)
        await trio.sleep_forever()

    finding = await look(nursery, serve, Check("/"), HURRIED)
    assert (finding.verdict, finding.why) == (Verdict.SILENT, why)


async def test_a_target_with_a_full_queue_is_silent_and_not_failing():
    with full_backlog() as listening:
        finding = await look_at_port(listening.getsockname()[1], Check(), HURRIED)
    assert (finding.verdict, finding.why) == (Verdict.SILENT, "no answer in 0.05 s")
