"""Dialling another site ends, whatever the address leads to, and says what it was."""

import socket

import pytest
import trio

from van.errors import CertificateError, LinkLost
from van.names import Endpoint
from van.router.reactor import connecting, sockets, tls_io
from van.router.reactor.racing import AllFailed
from van.tls.connection import TlsError
from van.tls.contexts import client_context, server_context
from van.tls.credentials import Credentials

ALPN = "van-link/1"


@pytest.fixture
def context():
    ours = Credentials.create("here")
    return client_context(ours.chain, ours.key, ours.root, (ALPN,))


async def failure_at(endpoint, context):
    with trio.fail_after(20), pytest.raises(AllFailed) as failed:
        await connecting.dial_first([endpoint], context, remedy="accept a token")
    (failure,) = failed.value.failures
    return failure


async def test_who_takes_a_connection_and_never_shakes_hands_is_given_up(context, monkeypatch):
    monkeypatch.setattr(connecting, "HANDSHAKE_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        failure = await failure_at(Endpoint(*mute.getsockname()), context)
        with mute.accept()[0] as conn:
            conn.settimeout(5)
            assert conn.recv(65536)  # the first words of the handshake
            assert not conn.recv(1)  # and it has been closed
    assert isinstance(failure, LinkLost)
    assert "did not finish the TLS handshake" in str(failure)


async def test_who_is_of_another_van_is_told_from_who_is_away(context):
    (listening,) = await connecting.open_listeners(Endpoint("127.0.0.1", 0))
    theirs = server_context(Credentials.create("there"), (ALPN,))

    async def answer():
        await trio.lowlevel.wait_readable(listening)
        sock = listening.accept()[0]
        sock.setblocking(False)
        with pytest.raises(TlsError):
            await tls_io.handshake(theirs, sock, server_side=True)

    with listening:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            failure = await failure_at(Endpoint(*listening.getsockname()), context)
    assert isinstance(failure, CertificateError)
    assert str(failure).endswith("is of another VAN: accept a token")


def least_wait(sock):
    """Return how long the kernel waits at least before it sends again, or skip the test."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, sockets._TCP_RTO_MIN_US) / 1e6
    except OSError:
        pytest.skip("this kernel can't be told")


async def test_connections_between_sites_send_again_soon_what_was_lost_at_both_ends():
    with socket.socket() as other:
        usual = least_wait(other)
    (listening,) = await connecting.open_listeners(Endpoint("127.0.0.1", 0))
    with listening:
        near = await connecting.dial(Endpoint(*listening.getsockname()))
        await trio.lowlevel.wait_readable(listening)
        far = listening.accept()[0]
    with near, far:
        for each in (near, far):
            assert sockets.MIN_REPEAT <= least_wait(each) < usual
