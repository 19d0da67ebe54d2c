"""Two sites are linked and unlinked, with real routers, as two people would."""

import json
import re

import pytest

from van.config.file import load_config
from van.paths import site_paths
from van.wire.fields import AUTO_COST


@pytest.fixture
def east(van, running):
    """A second site, with its router running beside that of west."""
    done = van("init", "east")
    assert done.returncode == 0, done.stderr
    yield "east"
    van("site", "delete", "east", "--yes", "--force")


@pytest.fixture
def linked(van, east):
    """Sites west and east with a link, dialled from east."""
    token = van("link", "create", "-s", "west").stdout
    done = van("link", "accept", "-", "-s", "east", stdin=token)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(
        "by a link to site 'west'\n"
        "this site may expose anything; bind anything; and not invite others\n"
        "the link is up\n"
    )


def test_a_token_goes_to_standard_output_and_advice_to_standard_error(van, running):
    done = van("link", "create", "--expires", "1h30m", "--uses", "2")
    assert done.returncode == 0
    assert "-----BEGIN CERTIFICATE-----" in done.stdout
    assert "PRIVATE KEY" not in done.stderr
    assert "good for 2 uses within 1h30m" in done.stderr
    assert "works on this machine only" in done.stderr
    assert "set listen under [router]" in done.stderr


def test_who_mints_a_token_for_a_pod_is_told_how_it_leaves(van, running):
    assert "it is ephemeral: nothing is renewed" in van("link", "create", "--ephemeral").stderr
    assert "ephemeral" not in van("link", "create").stderr


def test_a_token_file_is_for_the_owner_and_replaced_by_force_only(van, running, tmp_path):
    file = tmp_path / "token"
    assert van("link", "create", str(file)).stdout == ""
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    assert van("link", "create", str(file)).returncode == 1
    assert file.read_bytes() == before
    assert van("link", "create", str(file), "--force").returncode == 0
    assert file.read_bytes() != before


def test_a_token_that_can_not_be_written_is_revoked(van, running, tmp_path):
    done = van("link", "create", str(tmp_path / "missing" / "token"))
    assert done.returncode == 1
    assert "can't write" in done.stderr
    (token,) = json.loads(van("token", "list", "--json").stdout)
    assert token["state"] == "revoked"


def test_a_link_is_listed_weighed_and_given_up(van, linked):
    (link,) = json.loads(van("link", "list", "--json", "-s", "east").stdout)
    assert (link["neighbor"], link["state"], link["direction"]) == ("west", "up", "outgoing")
    assert "east  up     in" in van("link", "list", "-s", "west").stdout

    assert van("link", "cost", "west", "7", "-s", "east").returncode == 0
    (link,) = json.loads(van("link", "list", "--json", "-s", "east").stdout)
    assert link["cost"] == 7

    assert van("link", "delete", "west", "-s", "east").stdout == "link to site 'west': deleted\n"
    assert json.loads(van("link", "list", "--json", "-s", "east").stdout) == []
    assert "no link" in van("link", "delete", "west", "-s", "east").stderr


def test_a_token_may_ask_for_a_cost_that_follows_the_round_trip(van, east):
    token = van("link", "create", "--cost", "auto", "-s", "west").stdout
    done = van("link", "accept", "-", "--hold", "500ms", "-s", "east", stdin=token)
    assert done.returncode == 0, done.stderr
    for site in ("east", "west"):
        link = the_link(van, site)
        assert link["is_auto_cost"]
        assert link["cost"] >= 1
        assert link["hold_time"] >= 0.5
    assert re.search(r" \d+ auto ", van("link", "list", "-s", "west").stdout)
    (kept,) = load_config(site_paths("east").config_file).links
    assert (kept.cost, kept.hold) == (AUTO_COST, 0.5)
    assert 'cost = "auto"' in site_paths("east").config_file.read_text()


def test_cost_and_hold_time_of_a_link_are_changed(van, linked):
    done = van("link", "cost", "west", "auto", "-s", "east")
    assert done.stdout == "link to site 'west': changed (cost auto)\n"
    assert the_link(van, "east")["is_auto_cost"]
    done = van("link", "hold", "west", "20", "-s", "east")
    assert done.stdout == "link to site 'west': changed (lost after 20 s of silence)\n"
    assert the_link(van, "east")["hold_time"] >= 20.0
    assert load_config(site_paths("east").config_file).links[0].hold == 20.0
    assert "no link to site 'moon'" in van("link", "hold", "moon", "20", "-s", "east").stderr


def test_a_token_shows_who_used_it(van, linked):
    assert "used up" in van("token", "list", "-s", "west").stdout
    assert the_token(van)["used_by"] == ["east"]


def test_a_revoked_token_is_declined_with_the_reason(van, east):
    text = van("link", "create", "-s", "west").stdout
    assert van("token", "revoke", the_token(van)["id"], "-s", "west").returncode == 0
    done = van("link", "accept", "-", "-s", "east", stdin=text)
    assert done.returncode == 1
    assert "revoked" in done.stderr
    assert done.stderr.count("\n") == 1


def the_link(van, site):
    """Return the one link of a site."""
    (link,) = json.loads(van("link", "list", "--json", "-s", site).stdout)
    return link


def the_token(van):
    """Return the one token that west has minted."""
    (token,) = json.loads(van("token", "list", "--json", "-s", "west").stdout)
    return token


@pytest.mark.parametrize(
    ("options", "allowed", "said"),
    [
        ((), (["*"], ["*"]), "expose anything; bind anything; and not invite others"),
        (
            ("--allow-expose", "none", "--allow-bind", "db:5432, *:443", "--can-invite"),
            ([], ["db:5432", "*:443"]),
            "expose nothing; bind db:5432, *:443; and invite others",
        ),
        (
            ("--for", "dbhost,laptop-*", "--tag", "prod", "--can-invite", "--may-name", "laptop-*"),
            (["*"], ["*"]),
            "expose anything; bind anything; and invite others as laptop-*",
        ),
        (("--allow-bind", ""), (["*"], []), "expose anything; bind nothing; and not invite others"),
    ],
)
def test_what_a_token_allows_is_printed_when_it_is_minted(van, running, options, allowed, said):
    done = van("link", "create", *options)
    assert done.returncode == 0, done.stderr
    assert f"may {said}\n" in done.stderr
    (token,) = json.loads(van("token", "list", "--json").stdout)
    assert (token["allow_expose"], token["allow_bind"]) == allowed


def test_a_member_that_accepts_a_wider_token_is_told_what_it_may_do(van, linked):
    narrow = van("link", "create", "-s", "west", "--allow-expose", "none").stdout
    done = van("link", "accept", "-", "-s", "east", stdin=narrow)
    assert "this site may" not in done.stdout
    wide = van("link", "create", "-s", "west", "--can-invite").stdout
    done = van("link", "accept", "-", "-s", "east", stdin=wide)
    said = "this site may now expose anything; bind anything; and invite others\n"
    assert done.stdout == f"made a link to site 'west'\n{said}the link is up\n"
    assert van("link", "create", "-s", "east").returncode == 0
