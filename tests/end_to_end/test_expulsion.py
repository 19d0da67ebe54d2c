"""A laptop is stolen: with all that is on its disk, the thief gets nothing any more."""

import json
import socket
from collections.abc import Iterator
from functools import partial

import pytest

from lab.processes import Lab, wait_for
from lab.servers import ask_name


@pytest.fixture
def sites() -> Iterator[Lab]:
    """Sites west, hub, and east; west is stolen."""
    with Lab() as lab:
        lab.three_sites()
        yield lab


def ends(client: socket.socket) -> bool:
    """Wait for the end of a connection, or for its reset."""
    client.settimeout(10)
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


def is_told(sites: Lab, site: str, text: str) -> bool:
    return text in sites.run("-s", site, "events", "--no-follow").stdout


@pytest.mark.slow("routers as processes, which are started again")
def test_a_stolen_laptop_is_put_out_for_good(sites: Lab) -> None:
    with sites.service("db:7") as port:
        assert ask_name(port) == "east"
        held = socket.create_connection(("127.0.0.1", port))
        asked = sites.run("-s", "hub", "site", "expel", "west", check=False, stdin="n\n")
        assert asked.returncode == 1
        assert "is not expelled, as nobody has said yes" in asked.stderr
        assert "west" in sites.run("-s", "hub", "status").stdout
        said = sites.run("-s", "hub", "site", "expel", "west", "--reason", "stolen", stdin="y\n")
        assert "site 'west' is expelled" in said.stdout
        with held:
            assert ends(held)
    for site in ("hub", "east"):
        wait_for(partial(is_told, sites, site, "stolen"), "it is told")
        (listed,) = json.loads(sites.run("-s", site, "site", "expelled", "--json").stdout)
        assert (listed["site"], listed["reason"], listed["by"]) == ("west", "stolen", "")
    # With everything from its disk, whoever is started again meanwhile.
    for site in ("west", "hub", "east", "west"):
        sites.run("-s", site, "restart")
        wait_for(partial(is_told, sites, "west", "was expelled"), "it is refused")
        assert sites.status("west")["links"][0]["state"] != "up"
        known = {each["site"] for each in sites.status("east")["sites"]}
        assert "west" not in known
    again = sites.run("-s", "hub", "site", "expel", "west", "--yes").stdout
    assert again == "site 'west' is expelled already\n"
    shown = sites.run("-s", "east", "site", "expelled").stdout
    assert "west" in shown
    assert "stolen" in shown


@pytest.mark.slow("routers as processes")
def test_a_token_is_revoked_with_those_whom_it_has_let_in(sites: Lab) -> None:
    tokens = json.loads(sites.run("-s", "hub", "token", "list", "--json").stdout)
    (token,) = [each["id"] for each in tokens if "west" in each["used_by"]]
    wanted = ("-s", "hub", "token", "revoke", token, "--with-sites")
    assert "nobody has said yes" in sites.run(*wanted, check=False, stdin="\n").stderr
    assert "site 'west' is expelled" in sites.run(*wanted, "--yes").stdout
    (expelled,) = json.loads(sites.run("-s", "hub", "site", "expelled", "--json").stdout)
    assert expelled["reason"] == f"let in by token {token}"
