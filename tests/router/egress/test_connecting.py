"""A connection to a target is asked for once, and what the kernel says of it is taken as it is."""

import errno
import resource
import socket

import pytest
import trio
import trio.testing

from lab.ports import free_port
from tests.router.flow.test_pending import full_backlog
from van.names import Endpoint, UnixPath
from van.router.egress import connecting
from van.router.reactor import sockets


def place_of(listening):
    return Endpoint("127.0.0.1", listening.getsockname()[1])


def test_a_connection_on_this_machine_is_made_at_once():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        begun = connecting.begin(place_of(listening))
        assert begun.code == 0
        begun.sock.close()


def test_a_port_that_nobody_listens_at_refuses_at_once():
    assert connecting.begin(Endpoint("127.0.0.1", free_port())).code == errno.ECONNREFUSED


@pytest.mark.parametrize("ending", ["reset", "end and reset"])
def test_a_connection_that_was_broken_off_was_made_and_keeps_what_was_said(ending):
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(listening.getsockname())
        target, _ = listening.accept()
        target.send(b"last words")
        if ending != "reset":
            target.shutdown(socket.SHUT_WR)
        sockets.close_with_reset(target)
        assert sockets.connect_outcome(client) == 0
        assert client.recv(100) == b"last words"
        if ending == "reset":
            with pytest.raises(ConnectionResetError):
                client.recv(100)
        else:
            assert client.recv(100) == b""


async def test_a_full_queue_is_waited_for():
    with full_backlog() as listening:
        begun = connecting.begin(place_of(listening))
        assert begun.code == errno.EINPROGRESS
        with trio.move_on_after(0.02) as scope:
            await connecting.finish(place_of(listening), begun)
        assert scope.cancelled_caught
        assert begun.sock.fileno() == -1


async def test_a_full_queue_of_a_unix_socket_is_waited_for(tmp_path):
    path = UnixPath(str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.path)
        listening.listen(0)
        others = []
        while (begun := connecting.begin(path)).code == 0:
            others.append(begun.sock)
        assert begun.code == errno.EAGAIN
        made = []

        async def connect():
            made.append(await connecting.finish(path, begun))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(connect)
            await trio.testing.wait_all_tasks_blocked()
            assert not made
            for _ in others:
                listening.accept()[0].close()
        others += made
        for each in others:
            each.close()


def test_a_process_without_a_descriptor_left_says_so():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert connecting.begin(Endpoint("127.0.0.1", 1)).code == errno.EMFILE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
