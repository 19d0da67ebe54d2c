"""Two sites are linked and unlinked, with real routers, as two people would."""

import json

import pytest


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
    done = van("link", "accept", "-", "-s", "east", stdin=None, input=token)
    assert done.returncode == 0, done.stderr
    assert "by a link to site 'west'\nthe link is up\n" in done.stdout


def test_a_token_goes_to_standard_output_and_advice_to_standard_error(van, running):
    done = van("link", "create", "--expires", "1h30m", "--uses", "2")
    assert done.returncode == 0
    assert "-----BEGIN CERTIFICATE-----" in done.stdout
    assert "PRIVATE KEY" not in done.stderr
    assert "good for 2 uses within 1h30m" in done.stderr
    assert "works on this machine only" in done.stderr
    assert "set listen under [router]" in done.stderr


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


def test_a_token_shows_who_used_it(van, linked):
    assert "used up" in van("token", "list", "-s", "west").stdout
    assert the_token(van)["used_by"] == ["east"]


def test_a_revoked_token_is_declined_with_the_reason(van, east):
    text = van("link", "create", "-s", "west").stdout
    assert van("token", "revoke", the_token(van)["id"], "-s", "west").returncode == 0
    done = van("link", "accept", "-", "-s", "east", stdin=None, input=text)
    assert done.returncode == 1
    assert "revoked" in done.stderr
    assert done.stderr.count("\n") == 1


def the_token(van):
    """Return the one token that west has minted."""
    (token,) = json.loads(van("token", "list", "--json", "-s", "west").stdout)
    return token
