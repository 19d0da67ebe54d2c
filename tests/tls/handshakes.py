"""Real TLS between two sockets in one thread: each side moves when it can."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from tests.tls.forging import Form, Issued, forge
from van.tls import contexts
from van.tls.connection import TlsConnection, WantRead, WantWrite
from van.tls.contexts import Context
from van.tls.credentials import Credentials

ALPN = ["van-link/1"]


def today() -> datetime:
    """Return the time of day, by which OpenSSL checks certificates."""
    return datetime.now(UTC)


def forge_today(
    issuer: Issued, form: Form, *, says_whose_key_signed: bool = True, **times: timedelta
) -> Issued:
    """Forge a certificate whose times are relative to the present."""
    now = today()
    not_before = now + times.get("not_before", timedelta(minutes=-5))
    return forge(
        issuer,
        form,
        not_before=not_before,
        not_after=now + times.get("not_after", timedelta(1)),
        says_whose_key_signed=says_whose_key_signed,
    )


def dialling(site: Credentials, alpn=ALPN) -> Context:
    return contexts.client_context(site.chain, site.key, site.root, alpn)


def dialled(site: Credentials, alpn=ALPN) -> Context:
    return contexts.server_context(site, alpn)


def any_context(chain, key, root) -> Context:
    """Return a context for either side with certificates that no honest site would have."""
    context = contexts._context(chain, key, root)
    context.set_alpn_protos([each.encode() for each in ALPN])
    return context


def stranger_context() -> ssl.SSLContext:
    """Return a context of another TLS library, for a client that trusts whoever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def socket_pair(family: str = "unix") -> tuple[socket.socket, socket.socket]:
    if family == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        return client, server


OPENED: list[TlsConnection | ssl.SSLSocket] = []


def begin(context: Context | ssl.SSLContext, sock: socket.socket, *, server_side=False) -> Any:
    """Return one end of a TLS connection before its handshake; it is closed after the test."""
    sock.setblocking(False)
    end: Any
    if isinstance(context, ssl.SSLContext):
        end = context.wrap_socket(sock, server_side=server_side, do_handshake_on_connect=False)
    else:
        end = TlsConnection(context, sock, server_side=server_side)
    OPENED.append(end)
    return end


def close_all() -> None:
    while OPENED:
        OPENED.pop().close()


@attrs.frozen
class Pair:
    """Two ends of a connection, non-blocking."""

    client: TlsConnection
    server: TlsConnection


def wrap(client, server, client_context, server_context) -> Pair:
    return Pair(begin(client_context, client), begin(server_context, server, server_side=True))


def finish(*steps) -> list:
    """Call functions in turn, each until it need not wait; return their results or errors."""
    results: list = [None] * len(steps)
    waiting = list(range(len(steps)))
    while waiting:
        for number in list(waiting):
            try:
                results[number] = steps[number]()
            except (ssl.SSLWantReadError, WantRead, WantWrite, BlockingIOError):
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
