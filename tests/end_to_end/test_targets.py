"""What a client sees of targets that are down, and what status says of them."""

import json
import socket
import sys

import pytest

from lab.ports import free_port
from lab.processes import Lab, wait_for
from lab.servers import ask_name, asks_in_vain, naming_server


def test_a_target_that_is_down_is_not_reached_until_it_answers(sites: Lab) -> None:
    target = free_port()
    said = sites.run("--site", "east", "expose", "tcp", "absent:7", "--target", str(target))
    assert f"localhost:{target} takes no flows yet: connection refused" in said.stdout
    port = sites.bind("west", "absent:7")
    with pytest.raises(ConnectionRefusedError):
        ask_name(port)
    there = sites.find("connectors", "absent:7", at="east")
    assert there["state"] == "failing"
    assert "refused" in there["detail"]
    assert sites.find("listeners", "absent:7", at="west")["state"] == "waiting"
    with naming_server("late", target):
        sites.wait_reachable("absent:7", at="west")
        assert ask_name(port) == "late"
        assert sites.find("connectors", "absent:7", at="east")["state"] == "ready"
    assert asks_in_vain(port)  # the first one after it left finds out
    wait_for(
        lambda: sites.find("listeners", "absent:7", at="west")["state"] == "waiting",
        "west knows that nothing serves it",
    )
    sites.run("--site", "west", "unbind", "tcp", "absent:7")
    sites.run("--site", "east", "unexpose", "tcp", "absent:7")


def test_no_client_sees_that_one_of_two_instances_is_gone(sites: Lab) -> None:
    with sites.service("pair:7") as port:
        with naming_server("hub") as target:
            sites.expose("hub", "pair:7", target)
            wait_for(lambda: served_at(sites) == ["east", "hub"], "west knows both instances")
            assert "hub" in {ask_name(port) for _ in range(40)}
        assert {ask_name(port) for _ in range(40)} == {"east"}
        # Whoever is sent to the hub finds out, and gets the answer of east all the same.
        wait_for(lambda: finds_out(sites, port), "the hub knows that its instance is gone")
        sites.run("--site", "hub", "unexpose", "tcp", "pair:7")


def test_a_client_is_served_by_the_target_with_fewer_flows(sites: Lab) -> None:
    with naming_server("second") as second, sites.service("twins:7") as port:
        sites.run("--site", "east", "expose", "tcp", "twins:7", "--add", "--target", str(second))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as busy:
            busy.sendall(b"who\n")
            other = {"east": "second", "second": "east"}[busy.recv(100).decode().strip()]
            assert ask_name(port) == other


def test_a_connect_timeout_is_set_and_shown(sites: Lab) -> None:
    expose = ("--site", "east", "expose")
    with naming_server("patient") as target:
        told = ("tcp", "patient:7", "--target", str(target), "--connect-timeout")
        sites.run(*expose, *told, "2500ms")
        assert sites.find("connectors", "patient:7", at="east")["connect_timeout"] == 2.5
        assert "connect timeout 2.5 s" in sites.run("--site", "east", "status").stdout
        for wrong in ("0", "2h", "nan", "-1s"):
            assert sites.run(*expose, *told, wrong, check=False).returncode != 0
        over_udp = sites.run(*expose, "udp", "a:7", "--connect-timeout", "5s", check=False)
        assert (over_udp.returncode, "is for tcp" in over_udp.stderr) == (2, True)
        sites.run("--site", "east", "unexpose", "tcp", "patient:7")


def test_a_target_takes_the_place_of_another_and_no_flow_is_lost(sites: Lab) -> None:
    expose = ("--site", "east", "expose", "tcp", "moved:7")
    with naming_server("second") as second, sites.service("moved:7") as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"who\n")
            assert client.recv(100) == b"east\n"
            said = sites.run(*expose, "--target", str(second)).stdout
            assert "no more, but for 1 live flow: removed" in said
            assert {ask_name(port) for _ in range(10)} == {"second"}
            client.sendall(b"who\n")
            assert client.recv(100) == b"east\n"
        # Without a target, it is about the one that the address has.
        again = sites.run(*expose, "--weight", "3").stdout
        assert f"leads to localhost:{second}: ready (changed: weight is 3, was 1;" in again


def test_two_sites_may_bind_and_expose_the_same_address(sites: Lab) -> None:
    with sites.service("both:7") as west, naming_server("hub") as target:
        sites.expose("hub", "both:7", target)
        hub = sites.reach("hub", "both:7")
        served_at = lambda: sites.find("addresses", "both:7", at="west")["served_at"]  # noqa: E731
        wait_for(lambda: len(served_at()) == 2, "west knows both")
        assert ask_name(hub) in {"hub", "east"}
        assert ask_name(west) in {"hub", "east"}
        sites.run("--site", "east", "unexpose", "tcp", "both:7")
        wait_for(lambda: ask_name(west) == "hub", "west is served at the hub")
        assert ask_name(hub) == "hub"
        sites.run("--site", "hub", "unbind", "tcp", "both:7")
        sites.run("--site", "hub", "unexpose", "tcp", "both:7")


def test_an_address_is_explained_and_listed(sites: Lab) -> None:
    with sites.service("api:7") as port:
        assert ask_name(port) == "east"
        explained = sites.run("-s", "west", "explain", "api:7").stdout
        assert "west > hub > east" in explained
        assert "chosen" in explained
        found = json.loads(sites.run("-s", "west", "explain", "api:7", "--json").stdout)
        (candidate,) = found["candidates"]
        assert candidate["report_age"] is not None
        listed = json.loads(sites.run("-s", "west", "services", "--json").stdout)
        (service,) = [each for each in listed if each["address"] == "api:7"]
        assert service["distribution"] == "balanced"
        assert "api:7" in sites.run("-s", "west", "services").stdout


def test_a_target_is_drained_while_its_flows_go_on(sites: Lab) -> None:
    with sites.service("old:7") as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            assert say(client) == "east"
            command = ("-s", "east", "unexpose", "tcp", "old:7", "--drain")
            drain = sites.start(sys.executable, "-m", "van", *command)
            wait_for(
                lambda: sites.find("connectors", "old:7", at="east")["state"] == "draining",
                "it is draining",
            )
            assert say(client) == "east"
            wait_for(lambda: asks_in_vain(port), "no new flow arrives")
            assert drain.poll() is None
        assert drain.wait(10) == 0
        assert not any(each["address"] == "old:7" for each in sites.status("east")["connectors"])


def finds_out(sites: Lab, port: int) -> bool:
    """Ask once, see east answer, and tell whether the hub's instance is known to be gone."""
    assert ask_name(port) == "east"
    return bool(sites.find("connectors", "pair:7", at="hub")["state"] == "failing")


def served_at(sites: Lab) -> list[str]:
    return list(sites.find("addresses", "pair:7", at="west")["served_at"])


def say(client: socket.socket) -> str:
    client.sendall(b"who\n")
    return client.recv(100).decode().strip()
