"""A router that was killed, in the moment in which its last thread has not ended yet.

A process is gone for whoever looks at it when its first thread has ended. The others may hold its
sockets and its lock for a moment more: who connects then waits for nobody, and is reset.
"""

import contextlib
import fcntl
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator

from van.paths import SitePaths, site_paths

PATIENCE = 10.0
"""Seconds in which a client comes, or the test is wrong."""


class DyingRouter:
    """Has a site's lock and its control socket, and serves nobody."""

    def __init__(self, paths: SitePaths) -> None:
        self._path = paths.control_socket
        self._lock = os.open(paths.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._listen()

    def _listen(self) -> None:
        self._path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self._path))
        self._listening.listen()

    def _await_client(self) -> None:
        assert select.select([self._listening], [], [], PATIENCE)[0], "nobody has come"

    def end(self) -> None:
        """End under the first client; its socket stays in the directory."""
        self._await_client()
        os.close(self._lock)
        self._listening.close()

    def give_way(self, answer: bytes) -> None:
        """End under the first client, but not without another router, which answers the next."""
        self._await_client()
        self._listening.close()
        self._listen()
        self._await_client()
        with self._listening, self._listening.accept()[0] as client:
            client.recv(65536)
            client.sendall(answer)
        os.close(self._lock)

    def linger(self, is_over: threading.Event) -> None:
        """Answer nobody until it is over, and hold the lock."""
        self._listening.settimeout(0.01)
        while not is_over.is_set():
            with contextlib.suppress(TimeoutError):
                self._listening.accept()[0].close()
        self._listening.close()
        os.close(self._lock)


@contextlib.contextmanager
def playing(site: str, play: Callable[[DyingRouter], None]) -> Iterator[None]:
    """Have a dying router do something in a thread of its own."""
    thread = threading.Thread(target=play, args=(DyingRouter(site_paths(site)),))
    thread.start()
    try:
        yield
    finally:
        thread.join()
