"""A site is drained before its router goes down, so that clients notice nothing."""

import json

from lab.ports import free_port
from lab.processes import Lab, wait_for
from lab.servers import ReconnectingClient


def way(lab: Lab) -> list[str]:
    """Return the sites on the way from west to east."""
    done = lab.run("-s", "west", "trace", "east", "--json", check=False)
    return [hop["site"] for hop in json.loads(done.stdout)["hops"]] if done.stdout else []


def three_sites_in_a_ring(lab: Lab) -> None:
    """Make west, hub, and east, of which the hub is on the best way, and not on the only one."""
    lab.init("hub", "--listen", f"127.0.0.1:{free_port()}")
    for site in ("west", "east"):
        lab.init(site)
        lab.link(site, "hub", "--can-invite")
    lab.link("west", "east", "--cost", "20")


def test_clients_notice_nothing_of_a_site_that_is_drained_before_it_goes_down(lab: Lab) -> None:
    three_sites_in_a_ring(lab)
    wait_for(lambda: way(lab) == ["hub", "east"], "the way leads through the hub")
    with lab.service("steady:7") as port, ReconnectingClient(port) as client:
        drained = lab.run("-s", "hub", "site", "drain").stdout
        assert drained == "site 'hub': drained\n", "all have another way"
        wait_for(lambda: way(lab) == ["east"], "the way leads round the hub")
        lab.run("-s", "hub", "down")
        lab.up("hub")
        wait_for(
            lambda: (
                len(lab.status("hub")["links"]) == 2
                and all(link["state"] == "up" for link in lab.status("hub")["links"])
            ),
            "the hub is linked again",
        )
        assert lab.status("hub")["router"]["transit"] == "drained", "a restart changes nothing"
        assert way(lab) == ["east"]
        lab.run("-s", "hub", "site", "undrain")
        wait_for(lambda: way(lab) == ["hub", "east"], "the way leads through the hub again")
        wait_for(lambda: len(client.attempts) > 100, "clients come all the time")
    assert {attempt.failure for attempt in client.attempts} == {""}


def test_draining_a_site_that_others_depend_on_warns_of_it(sites: Lab) -> None:
    wait_for(lambda: way(sites) == ["hub", "east"], "the way leads through the hub")
    done = sites.run("-s", "hub", "site", "drain")
    try:
        assert "east, west can't reach all others without this site" in done.stdout
        wait_for(lambda: way(sites) == [], "there is no way any more")
        assert "no transit" in sites.run("-s", "west", "network").stdout
    finally:
        sites.run("-s", "hub", "site", "undrain")
    wait_for(lambda: way(sites) == ["hub", "east"], "the way leads through the hub again")
