"""A name server is reached over UDP through two links, by an ordinary resolver's means."""

from collections.abc import Iterator

import pytest

from lab.ports import free_port
from lab.processes import Lab
from tests.end_to_end.programs import name_server, need, run

LARGE = ",".join("x" * 200 for _ in range(12))
"""A text record of 2.4 kB, in pieces of no more than 255 bytes as DNS has them."""


@pytest.fixture(scope="module")
def names(shared_sites: Lab) -> Iterator[list[str]]:
    """How dig asks, at west, a name server at east."""
    need("dig")
    records = ["--host-record=db.test,192.0.2.7", f"--txt-record=large.test,{LARGE}"]
    with name_server(*records) as target:
        port = free_port()
        for protocol in ("udp", "tcp"):
            place = f"127.0.0.1:{target}"
            shared_sites.run(*("--site", "east", "expose", protocol, "dns:53", "--target", place))
            shared_sites.run(
                *("--site", "west", "bind", protocol, "dns:53", "--listen", f"127.0.0.1:{port}"),
                *(("--idle", "2s") if protocol == "udp" else ()),
            )
            shared_sites.wait_reachable("dns:53", at="west")
        yield [need("dig"), "@127.0.0.1", "-p", str(port), "+time=2", "+tries=2"]


def test_names_are_looked_up_over_udp(names: list[str]) -> None:
    for _ in range(20):
        assert run(*names, "+notcp", "+short", "db.test") == "192.0.2.7\n"


def test_a_large_answer_comes_in_one_datagram(names: list[str]) -> None:
    shown = run(*names, "+notcp", "+ignore", "+bufsize=4096", "large.test", "TXT")
    assert shown.count("x" * 200) == 12
    assert "(UDP)" in shown


def test_the_same_port_answers_over_tcp(names: list[str]) -> None:
    shown = run(*names, "+tcp", "large.test", "TXT")
    assert shown.count("x" * 200) == 12
    assert "(TCP)" in shown


def test_what_was_asked_shows_in_the_status(names: list[str], shared_sites: Lab) -> None:
    run(*names, "+notcp", "+short", "db.test")
    flows = shared_sites.status("west")["flows"]
    assert any((each["protocol"], each["address"]) == ("udp", "dns:53") for each in flows)
    assert shared_sites.status("west")["counters"]["dropped_datagrams"] == {}
