"""Sockets for every address of an endpoint, on machines that do not have all of them."""

import errno
import socket

import pytest
import trio

from van.names import Endpoint
from van.router.reactor import connecting
from van.router.reactor.binding import bind_all
from van.router.reactor.loopback import datagram_place

ELSEWHERE = "192.0.2.1"
"""A documentation address (RFC 5737), which no machine has."""


@pytest.fixture
def name_leads_to(monkeypatch):
    """Has every name lead to the addresses given, in order."""

    def lead(*hosts):
        async def look_up(_host, port, **_options):
            return [
                (socket.AF_INET6 if ":" in each else socket.AF_INET, 0, 0, "", (each, port))
                for each in hosts
            ]

        monkeypatch.setattr(trio.socket, "getaddrinfo", look_up)

    return lead


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("hosts", [(ELSEWHERE, "127.0.0.1"), ("127.0.0.1", ELSEWHERE)])
async def test_addresses_that_a_machine_does_not_have_are_left_out(name_leads_to, hosts, kind):
    name_leads_to(*hosts)
    (sock,) = await bind_all(Endpoint("here.example", 0), kind)
    with sock:
        assert sock.getsockname()[0] == "127.0.0.1"


async def test_a_family_that_the_system_does_not_speak_is_left_out(name_leads_to, monkeypatch):
    name_leads_to("::1", "127.0.0.1")
    make = socket.socket

    def refuse_ipv6(family=socket.AF_INET, *rest):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return make(family, *rest)

    monkeypatch.setattr("van.router.reactor.binding.socket.socket", refuse_ipv6)
    (sock,) = await bind_all(Endpoint("localhost", 0), socket.SOCK_STREAM)
    with sock:
        assert sock.getsockname()[0] == "127.0.0.1"


async def test_a_name_of_which_no_address_is_here_is_refused(name_leads_to):
    name_leads_to(ELSEWHERE)
    with pytest.raises(OSError, match=r"[Cc]annot assign"):
        await bind_all(Endpoint("gone.example", 0), socket.SOCK_STREAM)


async def test_a_port_that_is_taken_at_one_address_is_refused(name_leads_to):
    name_leads_to("127.0.0.1", "127.0.0.2")
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await bind_all(Endpoint("both.example", port), socket.SOCK_STREAM)
        socket.create_server(("127.0.0.1", port)).close()  # nothing was left open


async def test_a_free_port_is_the_same_at_every_address(name_leads_to):
    name_leads_to("127.0.0.1", "127.0.0.2", "127.0.0.1")
    first, second = await bind_all(Endpoint("both.example", 0), socket.SOCK_STREAM)
    with first, second:
        assert first.getsockname()[1] == second.getsockname()[1]


async def test_a_name_whose_addresses_are_of_no_family_with_a_way_out_is_looked_up_all_the_same(
    monkeypatch,
):
    async def look_up(_host, port, *, type, flags=0):  # noqa: A002  # as getaddrinfo has it
        if flags & socket.AI_ADDRCONFIG:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET6, type, 0, "", ("::1", port, 0, 0))] * 2

    monkeypatch.setattr(trio.socket, "getaddrinfo", look_up)
    found = await connecting.look_up(Endpoint("me.example", 5), socket.SOCK_STREAM)
    assert found == [Endpoint("::1", 5)]


HEAD = "  sl  local_address rem_address   st\n"
LINE = "  1: {}:0035 00000000:0000 07\n"


@pytest.mark.parametrize(
    ("udp", "udp6", "found"),
    [
        ("0100007F", None, "127.0.0.1"),
        ("00000000", None, "127.0.0.1"),
        (None, "0" * 24 + "01000000", "::1"),
        (None, "0" * 32, "::1"),
        ("0100007F", "0" * 24 + "01000000", "127.0.0.1"),
        ("0200007F", "0" * 24 + "01000000", "::1"),
        (None, None, "127.0.0.1"),
    ],
)
def test_a_udp_server_is_found_by_what_the_system_says(tmp_path, udp, udp6, found):
    for name, host in (("udp", udp), ("udp6", udp6)):
        if host:
            (tmp_path / name).write_text(HEAD + LINE.format(host))
    assert datagram_place(Endpoint("localhost", 53), tmp_path) == Endpoint(found, 53)
    assert datagram_place(Endpoint("localhost", 54), tmp_path) == Endpoint("127.0.0.1", 54)
