"""The machine with the root is lost, and the VAN goes on."""

import json
import shutil
import socket
from functools import partial

import pytest

from lab.ports import free_port
from lab.processes import Lab, wait_for
from lab.servers import ask_name


def sites_known(lab: Lab, site: str) -> set[str]:
    return {each["site"] for each in lab.status(site)["sites"] if each["hops"] is not None}


def is_linked(lab: Lab, *sites: str) -> bool:
    return all(sites_known(lab, each) >= set(sites) for each in sites)


@pytest.mark.slow("routers as processes, which are started again; a passphrase that is dear to try")
def test_a_root_that_was_lost_is_restored_at_a_new_site() -> None:
    with Lab() as lab:
        lab.three_sites()
        words, file = str(lab.directory / "words"), str(lab.directory / "root.backup")
        (lab.directory / "words").write_text("correct horse battery staple\n")
        (lab.directory / "wrong").write_text("wrong horse battery staple\n")
        said = lab.run("-s", "hub", "authority", "back-up", file, "--passphrase-file", words)
        assert "only its passphrase opens it" in said.stdout
        refused = lab.run("-s", "west", "authority", "back-up", f"{file}.2", check=False)
        assert "site 'west' does not hold the root of the VAN" in refused.stderr
        # The machine is gone, with its disk.
        lab.run("-s", "hub", "down")
        for kind in ("config", "state"):
            shutil.rmtree(lab.directory / kind / "van" / "hub")
        lab.init("standby", "--listen", f"127.0.0.1:{free_port()}")
        restore = ("-s", "standby", "authority", "restore", file, "--passphrase-file")
        wrong = lab.run(*restore, str(lab.directory / "wrong"), check=False)
        assert "passphrase is not the one that the back-up was made with" in wrong.stderr
        before = lab.status("standby")["router"]["van"]
        assert before != lab.status("west")["router"]["van"]
        assert "it is new in that VAN" in lab.run(*restore, words).stdout
        assert lab.status("standby")["router"]["van"] == lab.status("west")["router"]["van"]
        for site in ("west", "east"):
            lab.link(site, "standby")
        wait_for(partial(is_linked, lab, "west", "east", "standby"), "all are linked")
        with lab.service("db:7") as port:
            assert ask_name(port) == "east"
        lab.run("-s", "standby", "restart")
        again = lab.run(*restore, words, check=False)
        assert "holds the root of VAN" in again.stderr
        wait_for(partial(is_linked, lab, "west", "east", "standby"), "all are linked again")
        found = json.loads(lab.run("-s", "west", "authority", "show", "--json").stdout)
        assert {each["site"]: each["is_reachable"] for each in found["known"]} == {
            "standby": True,
            "hub": False,
        }
        lab.run("-s", "standby", "site", "expel", "west", "--yes")
        wait_for(lambda: "west" not in sites_known(lab, "east"), "it expels as the root does")


@pytest.mark.slow("routers as processes")
def test_a_second_authority_goes_on_when_the_first_is_lost() -> None:
    with Lab() as lab:
        lab.three_sites()
        grant = ("-s", "hub", "authority", "grant", "east")
        assert lab.run(*grant).stdout == "authority of site 'east': granted\n"
        assert lab.run(*grant).stdout == "authority of site 'east': already\n"
        wait_for(
            lambda: "second to it" in lab.run("-s", "west", "authority", "show").stdout,
            "it is told",
        )
        refused = lab.run("-s", "west", "authority", "grant", "east", check=False)
        assert "does not hold the root of the VAN" in refused.stderr
        lab.kill("hub")
        lab.run("-s", "east", "restart")
        lab.init("new")
        lab.link("new", "east", "--can-invite")
        lab.link("west", "new")
        wait_for(partial(is_linked, lab, "west", "east", "new"), "all are linked")
        lab.run("-s", "east", "site", "expel", "new", "--yes")
        wait_for(lambda: "new" not in sites_known(lab, "west"), "it expels whom it has let in")


@pytest.mark.slow("routers as processes, which are started again")
def test_the_root_is_replaced_while_a_flow_lives() -> None:
    with Lab() as lab:
        lab.three_sites()
        lab.init("away")
        lab.link("away", "hub")
        van = lab.status("hub")["router"]["van"]
        with lab.service("db:7") as port, socket.create_connection(("127.0.0.1", port)) as held:
            held.settimeout(20)
            assert answers(held)
            lab.run("-s", "away", "down")
            roll = ("-s", "hub", "authority", "roll")
            assert "the root is being replaced" in lab.run(*roll, "--yes").stdout
            again = lab.run(*roll, check=False)
            assert (again.returncode, len(again.stderr.splitlines())) == (1, 1)
            assert "the root is being replaced already" in again.stderr
            wait_for(partial(have_followed, lab, "east", "hub", "west"), "they follow")
            assert answers(held)
            lab.up("away")
            wait_for(partial(have_followed, lab, "away", "east", "hub", "west"), "it follows")
            finish = ("-s", "hub", "authority", "roll", "--finish")
            asked = lab.run(*finish, check=False, stdin="n\n")
            assert "the old root is not put out, as nobody has said yes" in asked.stderr
            assert "only what rests on the new one counts" in lab.run(*finish, "--yes").stdout
            assert answers(held)
            ended = lab.run(*finish, "--yes", check=False)
            assert "no root is being replaced" in ended.stderr
        lab.run("-s", "hub", "restart")
        wait_for(partial(is_linked, lab, "west", "east", "hub", "away"), "all are linked")
        assert {lab.status(each)["router"]["van"] for each in ("west", "away", "hub")} == {van}


def answers(held: socket.socket) -> bool:
    """Tell whether a connection that was open before still leads to the server."""
    held.sendall(b"who\n")
    return held.recv(100).strip() == b"east"


def have_followed(lab: Lab, *sites: str) -> bool:
    found = json.loads(lab.run("-s", "hub", "authority", "show", "--json").stdout)["roll"]
    return bool(found) and tuple(found["renewed"]) == sites
