"""The programs at both ends of a measured path: `python -m benchmarks.dataplane.ends KIND
HOST`.

A server prints its port, a free one, and serves until it is ended. `reader HOST PORT COUNT`
is a client with so many connections, and tells how much came when it is asked by a line. Each does
the least that a program of its kind can do, so that what is measured is the way between them.
"""

import contextlib
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final, cast

CHUNK: Final = 256 * 1024
"""Bytes of one call when there is much to send or to read."""
BACKLOG: Final = 4096
PATIENCE: Final = 30.0
"""Seconds that the first byte may take."""
REQUEST: Final = 4096
"""Most bytes that an echo reads at once; requests are far smaller."""
GREEDY: Final = b"*"
"""The first byte of a connection over which a `keep` is to send as much as is taken."""


def main() -> None:
    """Be one of the programs."""
    kind, host, *numbers = sys.argv[1:]
    if kind == "reader":
        port, count = map(int, numbers)
        read_all([socket.create_connection((host, port), PATIENCE) for _ in range(count)])
    else:
        SERVERS[kind](listen(host))


def listen(host: str) -> socket.socket:
    """Open a port and print it."""
    listener = socket.create_server((host, 0), backlog=BACKLOG)
    print(listener.getsockname()[1], flush=True)
    return listener


def serve_threads(
    serve: Callable[[socket.socket], None],
) -> Callable[[socket.socket], None]:
    """Return a server with a thread for each connection."""

    def accept(listener: socket.socket) -> None:
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serve_in_thread(serve, sock)

    return accept


def serve_in_thread(serve: Callable[[socket.socket], None], sock: socket.socket) -> None:
    """Serve a connection in a thread of its own until it ends."""

    def run() -> None:
        with sock, contextlib.suppress(OSError):
            serve(sock)

    threading.Thread(target=run, daemon=True).start()


def send_forever(sock: socket.socket) -> None:
    """Send as much as is taken."""
    data = bytes(CHUNK)
    while True:
        sock.sendall(data)


def send_back(sock: socket.socket) -> None:
    """Send back what comes."""
    while data := sock.recv(REQUEST):
        sock.sendall(data)


def keep(listener: socket.socket) -> None:
    """Keep thousands of connections in one thread, and send back what comes on any; those that
    begin with `GREEDY` get a thread that sends."""
    listener.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                sock = cast("socket.socket", key.fileobj)
                if sock is listener:
                    _accept(listener, selector)
                elif not _answer(sock, selector):
                    selector.unregister(sock)
                    sock.close()


def _accept(listener: socket.socket, selector: selectors.BaseSelector) -> None:
    with contextlib.suppress(BlockingIOError):
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ)


def _answer(sock: socket.socket, selector: selectors.BaseSelector) -> bool:
    """Send back what has come, and tell whether the connection goes on."""
    try:
        data = sock.recv(REQUEST)
        if data == GREEDY:
            selector.unregister(sock)
            serve_in_thread(send_forever, sock)
            return True
        sock.sendall(data)
    except OSError:
        return False
    return bool(data)


def read_all(socks: Sequence[socket.socket]) -> None:
    """Read what servers send; print how many connections there are once all have sent some.

    For each line of standard input, print how many bytes have come since.
    """
    for sock in socks:
        sock.sendall(GREEDY)
    for sock in socks:
        sock.recv(1)
        sock.settimeout(None)
    print(len(socks), flush=True)
    counts = [0] * len(socks)
    for index, sock in enumerate(socks):
        threading.Thread(target=count_into, args=(counts, index, sock)).start()
    for _ in sys.stdin:
        print(sum(counts), flush=True)


def count_into(counts: list[int], index: int, sock: socket.socket) -> None:
    """Read a connection to its end, and count what came."""
    buffer = bytearray(CHUNK)
    while count := sock.recv_into(buffer):
        counts[index] += count


SERVERS: Final = {
    "source": serve_threads(send_forever),
    "echo": serve_threads(send_back),
    "keep": keep,
}

if __name__ == "__main__":
    main()
