"""A peer that is no router: it holds a site's certificate and speaks on a link what it is told."""

from typing import Final

import trio

from van.errors import RemoteError
from van.names import Endpoint
from van.router.links.link import HEARTBEAT_INTERVAL, exchange_hellos
from van.router.reactor import connecting, tls_io
from van.router.reactor.message_stream import MessageStream
from van.tls.contexts import client_context
from van.tls.credentials import Credentials
from van.wire import link
from van.wire.revision import MAJOR

HANDSHAKE_TIMEOUT: Final = 10.0


async def link_up(
    endpoint: Endpoint, credentials: Credentials, *, peer: str, incarnation: int = 1
) -> MessageStream:
    """Link up with a router as a site, and return the conversation after the hellos.

    Raises `RemoteError` or `OSError`; the caller closes the conversation.
    """
    context = client_context(credentials.chain, credentials.key, credentials.root, (link.ALPN,))
    sock = await connecting.dial(endpoint)
    with trio.fail_after(HANDSHAKE_TIMEOUT):
        tls = await tls_io.handshake(context, sock, server_side=False)
    conversation = MessageStream(tls, link.CODEC, max_payload=link.MAX_MESSAGE)
    hello = link.Hello(MAJOR, credentials.site, incarnation, 1, HEARTBEAT_INTERVAL)
    try:
        await exchange_hellos(conversation, hello, peer=peer)
    except BaseException:
        conversation.close()
        raise
    return conversation


def heartbeat() -> link.Heartbeat:
    """Return a heartbeat that measures nothing."""
    return link.Heartbeat()


async def read_and_forget(conversation: MessageStream) -> None:
    """Take whatever the router sends until the link ends."""
    try:
        while True:
            await conversation.receive()
    except RemoteError:
        return
