"""Servers of one connection per thread, in the test's own process, and clients of them."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple, Self

ATTEMPT_TIMEOUT = 1.0
PAUSE = 0.003


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def naming_server(name: str, port: int = 0) -> Iterator[int]:
    """Serve on loopback a server that answers each line with its name; yield its port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while self.rfile.readline():
                    self.wfile.write(name.encode() + b"\n")

    with _Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def ask_name(port: int, timeout: float = ATTEMPT_TIMEOUT) -> str:
    """Connect, send a line, and return the server's name; raise `OSError` when it fails."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        sock.sendall(b"who\n")
        answer = sock.recv(100)
    if not answer:
        raise ConnectionError("the connection ended without an answer")
    return answer.decode().strip()


def asks_in_vain(port: int) -> bool:
    """Tell whether a client gets no answer, for whatever reason."""
    try:
        ask_name(port)
    except OSError:
        return True
    return False


class Attempt(NamedTuple):
    """One connection of a client: when it began and ended, and what went wrong."""

    began: float
    ended: float
    failure: str


class ReconnectingClient:
    """Connects again and again, every few milliseconds, and remembers how each attempt went."""

    def __init__(self, port: int) -> None:
        self.attempts: list[Attempt] = []
        self._port = port
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_stopped.wait(PAUSE):
            began = time.monotonic()
            failure = ""
            try:
                ask_name(self._port)
            except OSError as exc:
                failure = type(exc).__name__
            self.attempts.append(Attempt(began, time.monotonic(), failure))

    def served_since(self, moment: float, *, in_a_row: int) -> float | None:
        """Return when the client was first served for good after a moment.

        That is the end of the first of so many successes in a row, up to the latest attempt; None
        when there are fewer yet.
        """
        first, count = 0.0, 0
        for attempt in reversed(self.attempts):
            if attempt.failure or attempt.began < moment:
                break
            first, count = attempt.ended, count + 1
        return first if count >= in_a_row else None
