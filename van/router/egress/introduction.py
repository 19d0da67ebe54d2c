"""Tells a target who its client is, ahead of what the client says, where the target wants that."""

import socket

from van.config import ConnectorConfig
from van.router.flow.flow import Flow
from van.wire import proxy_protocol


def introduction(config: ConnectorConfig, flow: Flow, site: str) -> bytes:
    """Return what a target hears first of a flow whose client is at a site; empty if nothing."""
    if not config.proxy_protocol:
        return b""
    return proxy_protocol.header(client=flow.client, address=flow.address, site=site, flow=flow.id)


def introduce(sock: socket.socket, words: bytes) -> None:
    """Say it on a connection that was made just now, which takes some hundred bytes at once."""
    if not words:
        return
    try:
        sent = sock.send(words)
    except BlockingIOError:
        sent = 0
    except OSError:
        return  # it has gone already, which shows on the next read
    if sent < len(words):  # what follows would be taken for the rest of it
        sock.shutdown(socket.SHUT_RDWR)
