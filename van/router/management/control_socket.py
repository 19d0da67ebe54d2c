"""The control API's unix socket, which stays where commands look for it.

Whoever cleans up old files may remove it while the router runs; it is then made anew.
"""

import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import trio

from van.errors import StorageError
from van.files import remove, storage_error
from van.lock import is_same_file

logger = logging.getLogger(__name__)

LOOK_INTERVAL: Final = 1.0
"""Seconds between looks at whether the socket is still there; commands wait longer than that."""
BACKLOG: Final = 1024
"""Clients that may wait: past that, connecting fails at once with what looks like a defect."""

Serve = Callable[[trio.SocketStream], Awaitable[None]]


async def serve_socket(
    path: Path, serve: Serve, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve each client of a socket that only its owner may use, until cancelled; then remove it.

    Raises `StorageError` when it can't be opened at first.
    """
    listening, inode = _open(path)
    try:
        async with trio.open_nursery() as clients:
            task_status.started()
            while True:
                await _accept_while_there(path, listening, inode, serve, clients)
                logger.warning("somebody removed %s: it is made anew", path)
                listening, inode = await _open_again(path)
    finally:
        if is_same_file(path, inode):
            remove(path)


async def _accept_while_there(
    path: Path, listening: socket.socket, inode: os.stat_result, serve: Serve, clients: trio.Nursery
) -> None:
    """Accept clients until the socket is not found at its path any more, and close it."""
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            partial(trio.serve_listeners, serve, [listener], handler_nursery=clients)
        )
        while is_same_file(path, inode):  # noqa: ASYNC110 - a file that goes tells nobody
            await trio.sleep(LOOK_INTERVAL)
        nursery.cancel_scope.cancel()


async def _open_again(path: Path) -> tuple[socket.socket, os.stat_result]:
    """Open the socket as soon as that can be done."""
    complaint = ""
    while True:
        try:
            return _open(path)
        except StorageError as exc:
            if str(exc) != complaint:
                complaint = str(exc)
                logger.warning("no command reaches this router: %s", exc)
        await trio.sleep(LOOK_INTERVAL)


def _open(path: Path) -> tuple[socket.socket, os.stat_result]:
    """Open the socket, and return it with what tells its file from others."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The site's lock is held, so that a socket which is there belongs to a router that died.
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()
        before = os.umask(0o177)
        try:
            sock.bind(os.fspath(path))
        finally:
            os.umask(before)
        sock.listen(BACKLOG)
        sock.setblocking(False)
        return sock, path.lstat()
    except OSError as exc:
        sock.close()
        raise storage_error("open", path, exc) from exc
