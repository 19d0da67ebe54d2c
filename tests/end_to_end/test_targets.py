"""What a client sees of targets that are down, and what status says of them."""

import socket

import pytest

from tests.support.processes import Lab, free_port, wait_for
from tests.support.servers import ask_name, naming_server


def test_a_target_that_is_down_resets_the_client_and_status_says_why(sites: Lab) -> None:
    target = free_port()
    sites.expose("east", "absent:7", target)
    port = sites.reach("west", "absent:7")
    for _ in range(5):
        with pytest.raises(ConnectionResetError):
            ask_name(port)
    there = sites.find("connectors", "absent:7", at="east")
    assert there["state"] == "failing"
    assert "refused" in there["detail"]
    listener = sites.find("listeners", "absent:7", at="west")
    assert "east" in listener["detail"]
    assert "refused" in listener["detail"]
    with naming_server("late", target):
        assert ask_name(port) == "late"
        assert sites.find("connectors", "absent:7", at="east")["state"] == "ready"
    sites.van("--site", "west", "unbind", "tcp", "absent:7")
    sites.van("--site", "east", "unexpose", "tcp", "absent:7")


def test_a_client_is_served_by_the_other_instance_when_one_refuses(sites: Lab) -> None:
    sites.expose("hub", "pair:7", free_port())
    with sites.service("pair:7") as port:
        wait_for(
            lambda: sites.find("addresses", "pair:7", at="west")["served_at"] == ["east", "hub"],
            "west knows both instances",
        )
        assert {ask_name(port) for _ in range(40)} == {"east"}
        assert sites.find("connectors", "pair:7", at="hub")["state"] == "failing"
    sites.van("--site", "hub", "unexpose", "tcp", "pair:7")


def test_a_client_is_served_by_the_target_with_fewer_flows(sites: Lab) -> None:
    with naming_server("second") as second, sites.service("twins:7") as port:
        sites.expose("east", "twins:7", second)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as busy:
            busy.sendall(b"who\n")
            other = {"east": "second", "second": "east"}[busy.recv(100).decode().strip()]
            assert ask_name(port) == other


def test_two_sites_may_bind_and_expose_the_same_address(sites: Lab) -> None:
    with sites.service("both:7") as west, naming_server("hub") as target:
        sites.expose("hub", "both:7", target)
        hub = sites.reach("hub", "both:7")
        assert ask_name(hub) in {"hub", "east"}
        assert ask_name(west) in {"hub", "east"}
        sites.van("--site", "east", "unexpose", "tcp", "both:7")
        wait_for(lambda: ask_name(west) == "hub", "west is served at the hub")
        assert ask_name(hub) == "hub"
        sites.van("--site", "hub", "unbind", "tcp", "both:7")
        sites.van("--site", "hub", "unexpose", "tcp", "both:7")
