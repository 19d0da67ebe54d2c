"""A router that dies and is started again takes up its part, with no further command."""

from collections.abc import Iterator

import pytest

from lab.processes import Lab, answers, wait_for
from lab.recovery import SITES, client_through, kill_and_start
from lab.servers import ask_name, naming_server


def link_state(lab: Lab, site: str) -> str:
    """Return how the one link of a site stands."""
    (link,) = lab.status(site)["links"]
    return str(link["state"])


@pytest.fixture
def service(sites: Lab) -> Iterator[int]:
    """The port at west that leads to a server at east."""
    with sites.service("names:7") as port:
        wait_served(port)
        yield port


def wait_served(port: int) -> None:
    def is_served() -> bool:
        try:
            return ask_name(port) == "east"
        except OSError:
            return False

    wait_for(is_served, "the service is back")


def test_each_router_may_be_killed_under_a_client_that_reconnects(sites: Lab) -> None:
    with client_through(sites) as client:
        for site in SITES:
            recovery = kill_and_start(sites, client, site)
            print(
                f"{site}: served {recovery.after_kill:.2f} s after SIGKILL, "
                f"when 'van up' had returned after {recovery.start_took:.2f} s"
            )
    assert any(attempt.failure for attempt in client.attempts), "no kill was noticed"


@pytest.mark.parametrize(("first", "second"), [("west", "hub"), ("hub", "west")])
def test_both_ends_of_a_link_may_be_restarted_in_any_order(
    sites: Lab, service: int, first: str, second: str
) -> None:
    sites.kill("west")
    sites.kill("hub")
    sites.up(first)
    sites.up(second)
    wait_served(service)


def test_all_sites_may_be_killed_at_once(sites: Lab, service: int) -> None:
    for site in SITES:
        sites.kill(site)
    for site in reversed(SITES):
        sites.up(site)
    wait_served(service)


def test_a_link_port_may_be_away_for_a_while(sites: Lab, service: int) -> None:
    sites.run("--site", "hub", "down")
    wait_for(lambda: link_state(sites, "west") == "down", "west sees its link down")
    wait_for(lambda: not answers(service), "west refuses clients")
    (link,) = sites.status("west")["links"]
    assert "refused" in link["detail"]
    sites.up("hub")
    wait_served(service)
    assert link_state(sites, "west") == "up"


def test_a_hub_whose_port_was_taken_meanwhile_says_so_and_starts_later(
    sites: Lab, service: int
) -> None:
    (link,) = sites.status("west")["links"]
    port = int(link["remote"].rpartition(":")[2])
    sites.kill("hub")
    with naming_server("squatter", port):
        refused = sites.run("--site", "hub", "up", check=False)
        assert refused.returncode == 1
        assert str(port) in refused.stderr
        assert "hub" not in sites.pids()
    sites.up("hub")
    wait_served(service)


def test_configuration_survives_restarts(sites: Lab, service: int) -> None:
    def kept() -> dict[str, object]:
        found = {site: sites.status(site) for site in SITES}
        return {
            site: (
                sorted((each["neighbor"], each["direction"]) for each in status["links"]),
                [(each["address"], each["target"]) for each in status["connectors"]],
                [(each["address"], each["listen"]) for each in status["listeners"]],
                status["router"]["listen"],
                status["router"]["identity"],
            )
            for site, status in found.items()
        }

    before = kept()
    for site in SITES:
        sites.run("--site", site, "down")
    wait_for(lambda: sites.pids() == {}, "every router has ended")
    for site in SITES:
        sites.up(site)
    wait_served(service)
    wait_for(lambda: kept() == before, "every site has its links and addresses")


def test_listeners_refuse_while_nothing_serves_and_serve_again(sites: Lab, service: int) -> None:
    assert ask_name(service) == "east"
    target = sites.find("connectors", "names:7", at="east")["target"]
    for _ in range(2):
        sites.run("--site", "east", "unexpose", "tcp", "names:7")
        wait_for(lambda: not answers(service), "west refuses clients")
        listener = sites.find("listeners", "names:7", at="west")
        assert listener["state"] == "waiting"
        assert listener["detail"]
        with pytest.raises(ConnectionRefusedError):
            ask_name(service)
        sites.expose("east", "names:7", int(target.rpartition(":")[2]))
        wait_served(service)
