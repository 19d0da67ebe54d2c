"""An ordinary syslog sender reaches every collector, and a feed goes to every server."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial

import pytest

from lab.ports import free_port
from lab.processes import Lab, wait_for
from tests.end_to_end.programs import need, run

SITES = ("west", "hub", "east")


def collector() -> socket.socket:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(10)
    return sock


@pytest.fixture(scope="module")
def collectors(shared_sites: Lab) -> Iterator[tuple[int, list[socket.socket]]]:
    """Collectors at every site, two at east; and the port at west that leads to them."""
    with ExitStack() as stack:
        socks = []
        for site in (*SITES, "east"):
            sock = stack.enter_context(closing(collector()))
            socks.append(sock)
            target = f"127.0.0.1:{sock.getsockname()[1]}"
            shared_sites.run(
                *("--site", site, "expose", "udp", "syslog:514", "--multicast"),
                *("--target", target, "--add"),
            )
        port = free_port()
        shared_sites.run(
            *("--site", "west", "bind", "udp", "syslog:514"),
            *("--listen", str(port), "--idle", "2s"),
        )
        shared_sites.wait_reachable("syslog:514", at="west")
        yield port, socks
        shared_sites.run("--site", "west", "unbind", "udp", "syslog:514")
        for site in SITES:
            shared_sites.run("--site", site, "unexpose", "udp", "syslog:514")


def test_what_logger_sends_comes_to_every_collector_once(
    collectors: tuple[int, list[socket.socket]], shared_sites: Lab
) -> None:
    port, socks = collectors
    logger = need("logger")
    wait_until_all_are_members(port, socks)
    for number in range(5):
        text = f"message {number}"
        run(logger, "--server", "127.0.0.1", "--port", str(port), "--udp", "--tag", "van", text)
        for sock in socks:
            assert sock.recv(4096).endswith(text.encode())
    for sock in socks:
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(4096)
    counters = shared_sites.status("hub")["counters"]
    assert counters["multicast_bytes"].keys() == {"east"}
    addresses = shared_sites.status("west")["addresses"]
    (found,) = [each for each in addresses if each["address"] == "syslog:514"]
    assert (found["distribution"], found["served_at"]) == ("multicast", sorted(SITES))


def hears(sock: socket.socket, client: socket.socket, port: int) -> bool:
    """Tell whether a collector hears something soon; if not, send once more."""
    sock.settimeout(0.5)
    try:
        sock.recv(4096)
    except TimeoutError:
        client.sendto(b"again", ("127.0.0.1", port))
        return False
    return True


def wait_until_all_are_members(port: int, socks: list[socket.socket]) -> None:
    """Send until everyone hears, and take what was sent."""
    with closing(collector()) as client:
        client.sendto(b"first", ("127.0.0.1", port))
        for sock in socks:
            wait_for(partial(hears, sock, client, port), "a collector hears what is sent to all")
        for sock in socks:
            sock.settimeout(0.3)
            try:
                while True:
                    sock.recv(4096)
            except TimeoutError:
                sock.settimeout(10)
