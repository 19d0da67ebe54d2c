"""What the kernel does with a wish for a congestion control, and what it tells of it."""

import errno
import socket
import sys

import pytest

from van.router.reactor import congestion

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has the option")


def test_a_congestion_control_is_used_where_the_system_has_it():
    with socket.socket() as sock:
        assert congestion.control_congestion(sock, "reno")
        name = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        assert name.rstrip(b"\0") == b"reno"
        assert congestion.congestion_of(sock) == "reno"
        assert not congestion.control_congestion(sock, "no-such-thing")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16) == name


def test_one_that_can_be_used_needs_no_word():
    assert congestion.why_not_usable("reno") == ""


def test_one_that_the_kernel_does_not_have_is_said_to_be_missing():
    why = congestion.why_not_usable("no-such-thing")
    assert "does not offer it" in why
    assert "modprobe tcp_no-such-thing" in why


class Restricted(socket.socket):
    """A socket of a user who may choose nothing."""

    def setsockopt(self, *_arguments):
        raise PermissionError(errno.EPERM, "Operation not permitted")


def test_one_that_this_user_may_not_have_is_said_to_be_restricted(monkeypatch):
    monkeypatch.setattr(socket, "socket", Restricted)
    why = congestion.why_not_usable("bbr")
    assert "may not choose it" in why
    assert "net.ipv4.tcp_allowed_congestion_control" in why


def test_what_is_no_tcp_or_closed_has_none():
    near, far = socket.socketpair()
    with near, far:
        assert congestion.congestion_of(near) == ""
    assert congestion.congestion_of(near) == ""


def test_the_system_has_one_for_who_asks_for_none():
    with socket.socket() as sock:
        assert congestion.default_congestion() == congestion.congestion_of(sock) != ""
