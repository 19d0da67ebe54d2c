"""A router that is told to stop takes its leave, and leaves nothing behind."""

import signal
import socket
from functools import partial

from lab.processes import Lab, answers, is_running, wait_for
from lab.recovery import SITES


def terminate(lab: Lab, site: str) -> None:
    """Send SIGTERM to a router, and see that its process and its sockets go."""
    pid = lab.pids()[site]
    lab.kill(site, signal.SIGTERM)
    wait_for(lambda: not is_running(pid), f"the router of {site} ends")
    state = lab.directory / "state" / "van" / site
    left = [path.name for path in state.rglob("*") if path.is_socket() or ".tmp" in path.name]
    assert not left


def test_sigterm_leaves_nothing_behind(sites: Lab) -> None:
    with sites.service("brief:7") as listener:
        link_port = int(sites.status("hub")["router"]["listen"].rpartition(":")[2])

        terminate(sites, "east")
        wait_for(lambda: not answers(listener), "west refuses clients")
        for site in ("west", "hub"):
            wait_for(partial(is_gone, sites, site), f"{site} knows that east is gone")

        sites.up("east")
        wait_for(lambda: answers(listener), "west serves clients again")
        terminate(sites, "west")
        assert not answers(listener)

        assert answers(link_port)
        terminate(sites, "hub")
        assert not answers(link_port)
        for site in SITES:
            sites.up(site)


def is_gone(lab: Lab, at: str) -> bool:
    """Tell whether a site has no path to east, and knows nobody who serves what east served."""
    status = lab.status(at)
    served = {each["address"] for each in status["addresses"] if each["served_at"]}
    reached = {each["site"] for each in status["sites"] if each["next_hop"]}
    return "brief:7" not in served and "east" not in reached


def test_live_flows_may_finish_before_a_router_stops(sites: Lab) -> None:
    with sites.service("slow:7") as listener:
        pid = sites.pids()["east"]
        with socket.create_connection(("127.0.0.1", listener), timeout=10) as client:
            client.sendall(b"who\n")
            assert client.recv(100) == b"east\n"
            sites.kill("east", signal.SIGTERM)
            wait_for(lambda: not answers(listener), "west takes no new flows")
            client.sendall(b"who\n")
            assert client.recv(100) == b"east\n"
        wait_for(lambda: not is_running(pid), "the router of east ends")
        sites.up("east")
        wait_for(lambda: answers(listener), "west serves clients again")


def test_down_returns_when_the_router_is_gone(sites: Lab) -> None:
    pid = sites.pids()["east"]
    assert "has stopped" in sites.run("--site", "east", "down").stdout
    assert not (sites.directory / "state" / "van" / "east" / "control.sock").exists()
    wait_for(lambda: not is_running(pid), "the router of east ends")
    again = sites.run("--site", "east", "down")
    assert "is not running" in again.stdout
