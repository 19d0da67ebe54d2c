"""A machine is wiped, and is back under its name; nobody else gets that."""

from functools import partial
from pathlib import Path

import pytest

from lab.processes import Lab, wait_for
from lab.servers import ask_name


def told(sites: Lab, site: str, text: str) -> bool:
    return text in sites.run("-s", site, "events", "--no-follow").stdout


def reaches(sites: Lab, site: str, other: str) -> bool:
    return any(each["site"] == other and each["next_hop"] for each in sites.status(site)["sites"])


def wipe(lab: Lab, site: str) -> None:
    """Take a site's disk away, and set the machine up anew."""
    lab.kill(site)
    lab.run("site", "delete", site, "--yes", "--force")
    lab.init(site)


@pytest.mark.slow("routers as processes, of which one is set up anew")
def test_a_wiped_machine_is_back_under_its_name_in_two_commands(lab: Lab, tmp_path: Path) -> None:
    lab.three_sites()
    former = lab.run("-s", "hub", "site", "show", "east").stdout
    assert "east" in former
    token = tmp_path / "token"
    wipe(lab, "east")
    wait_for(lambda: not reaches(lab, "hub", "east"), "it is gone")
    # Any token lets a new site in, but not under a name that is another key's.
    lab.run("-s", "hub", "link", "create", str(token))
    refused = lab.run("-s", "east", "link", "accept", str(token), check=False)
    assert refused.returncode == 1
    assert "--for east --replaces" in refused.stderr
    # One command at the authority, and one at the machine.
    lab.run("-s", "hub", "link", "create", "--for", "east", "--replaces", str(token), "--force")
    lab.run("-s", "east", "link", "accept", str(token))
    for site in ("hub", "west"):
        wait_for(partial(told, lab, site, "site-key-changed"), "it is told")
        assert told(lab, site, "was given up by")
    with lab.service("db:7") as port:
        assert ask_name(port) == "east"
    # And once more, by the word of an operator alone.
    wipe(lab, "east")
    wait_for(lambda: not reaches(lab, "hub", "east"), "it is gone")
    said = lab.run("-s", "hub", "site", "forget", "east", stdin="y\n").stdout
    assert "was last there on" in said
    assert "site 'east' is forgotten: its name is free for another key" in said
    lab.link("east", "hub")
    with lab.service("web:7") as port:
        assert ask_name(port) == "east"
    assert lab.run("-s", "west", "site", "show", "east").stdout.count("was given up by") == 2
