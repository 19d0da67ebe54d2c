"""The control API's socket stays where commands look for it."""

from functools import partial

import pytest
import trio

from van.errors import StorageError
from van.router.management import control_socket
from van.router.management.control_socket import serve_socket


async def greet(stream):
    async with stream:
        await stream.send_all(b"hello")


async def read(stream):
    async with stream:
        return b"".join([part async for part in stream])


@pytest.fixture
async def path(tmp_path, nursery, monkeypatch):
    """Where a socket is served, that is looked after often."""
    monkeypatch.setattr(control_socket, "LOOK_INTERVAL", 0.01)
    path = tmp_path / "control.sock"
    await nursery.start(partial(serve_socket, path, greet))
    return path


async def greeting_at(path):
    """Return what is said at a socket, as soon as there is one."""
    with trio.fail_after(10):
        while True:
            try:
                return await read(await trio.open_unix_socket(path))
            except OSError:
                await trio.sleep(0.01)


async def test_a_socket_that_was_removed_is_made_anew(path, caplog):
    path.unlink()
    assert await greeting_at(path) == b"hello"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "somebody removed" in caplog.text


async def test_a_dead_socket_in_its_place_makes_way(path):
    path.unlink()
    with trio.socket.socket(trio.socket.AF_UNIX) as dead:
        await dead.bind(str(path))
    assert await greeting_at(path) == b"hello"


async def test_a_file_in_its_place_stays_and_is_told_once(path, caplog):
    path.unlink()
    path.write_text("mine")
    with trio.fail_after(10):
        while "no command reaches this router" not in caplog.text:
            await trio.sleep(0.01)
    await trio.sleep(0.05)
    assert caplog.text.count("no command reaches this router") == 1
    assert path.read_text() == "mine"
    path.unlink()
    assert await greeting_at(path) == b"hello"


async def test_clients_that_are_served_go_on_when_it_is_removed(tmp_path, nursery, monkeypatch):
    monkeypatch.setattr(control_socket, "LOOK_INTERVAL", 0.01)
    path, may_answer = tmp_path / "control.sock", trio.Event()

    async def wait_and_greet(stream):
        await may_answer.wait()
        await greet(stream)

    await nursery.start(partial(serve_socket, path, wait_and_greet))
    early = await trio.open_unix_socket(path)
    inode = path.stat().st_ino
    path.rename(tmp_path / "old")  # so that its number can't be used again
    with trio.fail_after(10):
        while not path.exists():
            await trio.sleep(0.01)
    assert path.stat().st_ino != inode
    may_answer.set()
    assert await read(early) == b"hello"


async def test_a_file_in_the_place_of_the_socket_is_not_removed(tmp_path):
    path = tmp_path / "control.sock"
    path.write_text("mine")
    with pytest.raises(StorageError, match="can't open"):
        await serve_socket(path, greet)
    assert path.read_text() == "mine"
