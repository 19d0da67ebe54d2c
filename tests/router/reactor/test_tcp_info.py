"""What the kernel tells of a connection is read where it belongs."""

import socket
import sys

import pytest

from lab.network import wait_until
from van.router.reactor.sockets import connected_pair
from van.router.reactor.tcp_info import tcp_info

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells that much")


async def test_what_was_sent_and_acknowledged_is_counted():
    near, far = connected_pair()
    with near, far:
        before = tcp_info(near)
        assert before is not None
        for _ in range(3):
            near.send(bytes(1000))
            await wait_until(lambda: tcp_info(near).in_flight == 0, "it is acknowledged")
        after = tcp_info(near)
        assert (after.sent - before.sent, after.acknowledged - before.acknowledged) == (3, 3000)
        assert (after.repeated, after.unsent, after.is_timed_out) == (0, 0, False)
        assert 0 < after.shortest <= after.round_trip < 1


async def test_what_the_other_end_takes_no_more_waits_here():
    near, far = connected_pair()
    with near, far:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sent = 0
        try:
            while True:
                sent += near.send(bytes(65536))
        except BlockingIOError:
            pass
        await wait_until(lambda: tcp_info(near).in_flight == 0, "all is there that has room")
        info = tcp_info(near)
        assert 0 < info.unsent < sent
        assert abs(sent - info.acknowledged - info.unsent) <= 1  # the SYN is counted


def test_what_is_no_tcp_tells_nothing():
    near, far = socket.socketpair()
    with near, far:
        assert tcp_info(near) is None
    assert tcp_info(near) is None
