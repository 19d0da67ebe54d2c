"""Whom a datagram came from, and how that client is answered, by real sockets of loopback."""

import contextlib
import socket

import pytest

from van.router.flow.drops import Drops
from van.router.ingress.client_socket import client_socket
from van.router.reactor.bursts import CAN_CUT

NO_CHECK = 11
"""SO_NO_CHECK: without checksums, Linux cuts no piece."""
BURST = [b"%03d" % number for number in range(20)]


@contextlib.contextmanager
def talking(host):
    """Lend a listener's socket of a host, and a client of it that has asked."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as ours,
        socket.socket(type=socket.SOCK_DGRAM) as theirs,
    ):
        ours.bind((host, 0))
        theirs.settimeout(10.0)
        theirs.connect(("127.0.0.1", ours.getsockname()[1]))
        theirs.send(b"who")
        yield ours, theirs


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_client_is_answered_from_where_it_asked(host):
    with talking(host) as (ours, theirs):
        clients, buffer = client_socket(ours, Drops()), memoryview(bytearray(100))
        count, client = clients.receive(buffer)
        assert bytes(buffer[:count]) == b"who"
        assert clients.address(client) == theirs.getsockname()
        clients.reply(buffer[:count], client)
        assert theirs.recv(100) == b"who"


@pytest.mark.skipif(not CAN_CUT, reason="the kernel cuts no piece into datagrams")
@pytest.mark.parametrize("is_cut", [True, False])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_burst_arrives_as_the_datagrams_that_it_is_whether_it_can_be_cut_or_not(host, is_cut):
    with talking(host) as (ours, theirs):
        ours.setsockopt(socket.SOL_SOCKET, NO_CHECK, not is_cut)
        drops = Drops()
        clients = client_socket(ours, drops)
        _, client = clients.receive(memoryview(bytearray(100)))
        clients.reply_burst([memoryview(each) for each in BURST], client)
        assert [theirs.recv(100) for _ in BURST] == BURST
        assert not drops


@pytest.mark.skipif(not CAN_CUT, reason="the kernel cuts no piece into datagrams")
def test_a_burst_to_a_client_that_can_not_be_reached_is_counted():
    with talking("127.0.0.1") as (ours, theirs):
        ours.setblocking(False)
        drops = Drops()
        clients = client_socket(ours, drops)
        port = theirs.getsockname()[1]
        clients.reply_burst([memoryview(each) for each in BURST], ("255.255.255.255", port))
        assert drops == {"local-blocked": len(BURST)}
