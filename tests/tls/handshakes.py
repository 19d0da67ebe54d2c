"""Real TLS between two sockets in one thread: each side moves when it can."""

import socket
import ssl
from datetime import UTC, datetime, timedelta

import attrs

from tests.tls.forging import Form, Issued, forge
from van.tls import contexts
from van.tls.credentials import Credentials

ALPN = ["van-link/1"]


def today() -> datetime:
    """Return the time of day, by which OpenSSL checks certificates."""
    return datetime.now(UTC)


def forge_today(issuer: Issued, form: Form, **times: timedelta) -> Issued:
    """Forge a certificate whose times are relative to the present."""
    now = today()
    not_before = now + times.get("not_before", timedelta(minutes=-5))
    return forge(
        issuer, form, not_before=not_before, not_after=now + times.get("not_after", timedelta(1))
    )


def dialling(site: Credentials, alpn=ALPN) -> ssl.SSLContext:
    return contexts.client_context(site.chain, site.key, site.root, alpn)


def dialled(site: Credentials, alpn=ALPN) -> ssl.SSLContext:
    return contexts.server_context(site, alpn)


def any_context(protocol, chain, key, root) -> ssl.SSLContext:
    """Return a context with certificates that no honest site would have."""
    return contexts._context(protocol, chain, key, root, ALPN)


def socket_pair(family: str = "unix") -> tuple[socket.socket, socket.socket]:
    if family == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        return client, server


OPENED: list[socket.socket] = []


def keep(sock: ssl.SSLSocket) -> ssl.SSLSocket:
    """Have a socket closed when the test is over, however it ended."""
    OPENED.append(sock)
    return sock


def close_all() -> None:
    while OPENED:
        OPENED.pop().close()


@attrs.frozen
class Pair:
    """Two ends of a connection, non-blocking."""

    client: ssl.SSLSocket
    server: ssl.SSLSocket


def wrap(client, server, client_context, server_context) -> Pair:
    client.setblocking(False)
    server.setblocking(False)
    return Pair(
        keep(client_context.wrap_socket(client, do_handshake_on_connect=False)),
        keep(server_context.wrap_socket(server, server_side=True, do_handshake_on_connect=False)),
    )


def finish(*steps) -> list:
    """Call functions in turn, each until it need not wait; return their results or errors."""
    results: list = [None] * len(steps)
    waiting = list(range(len(steps)))
    while waiting:
        for number in list(waiting):
            try:
                results[number] = steps[number]()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                continue
            except OSError as exc:
                results[number] = exc
            waiting.remove(number)
    return results


def shake_hands(pair: Pair) -> tuple[OSError | None, OSError | None]:
    """Return what went wrong at the client and at the server."""
    client, server = finish(pair.client.do_handshake, pair.server.do_handshake)
    return client, server


def connect(client_context, server_context, family: str = "unix") -> Pair:
    """Return a pair whose handshake went well on both sides."""
    pair = wrap(*socket_pair(family), client_context, server_context)
    for error in shake_hands(pair):
        if error is not None:
            raise error
    return pair
