"""Tokens let sites in: once, until they are revoked, and not into two networks."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ports import free_port
from lab.processes import Lab, wait_for


@pytest.fixture(scope="module")
def inviting() -> Iterator[Lab]:
    """A hub that can be dialled, and two sites that want in."""
    with Lab() as lab:
        lab.init("hub", "--listen", f"127.0.0.1:{free_port()}")
        lab.init("first")
        lab.init("second")
        yield lab


def create_token(lab: Lab, name: str, *options: str) -> tuple[str, Path]:
    """Mint a token at the hub; return its id and its file."""
    path = lab.directory / name
    before = tokens_of(lab)
    lab.run("--site", "hub", "link", "create", str(path), *options)
    (token,) = tokens_of(lab).keys() - before.keys()
    return token, path


def tokens_of(lab: Lab) -> dict[str, str]:
    """Return the ids of the hub's tokens, and their states."""
    tokens = json.loads(lab.run("--site", "hub", "token", "list", "--json").stdout)
    return {str(each["id"]): str(each["state"]) for each in tokens}


def refusal(lab: Lab, *arguments: str) -> str:
    """Run a command that must fail the ordinary way, and return its one line."""
    done = lab.run(*arguments, check=False)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("van: ")
    assert "Traceback" not in done.stderr
    return done.stderr


def state_of(lab: Lab, token: str) -> str:
    return tokens_of(lab)[token]


def test_a_token_lets_one_site_in_once(inviting: Lab) -> None:
    token, path = create_token(inviting, "once")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "joined" in inviting.run("--site", "first", "link", "accept", str(path)).stdout
    assert state_of(inviting, token) == "used up"
    assert "used" in refusal(inviting, "--site", "second", "link", "accept", str(path))
    assert inviting.status("second")["links"] == []
    wait_for(
        lambda: {each["site"] for each in inviting.status("hub")["sites"]} == {"hub", "first"},
        "the hub knows the site that it let in, and no other",
    )


def test_a_revoked_token_is_worthless(inviting: Lab) -> None:
    token, path = create_token(inviting, "revoked")
    inviting.run("--site", "hub", "token", "revoke", token)
    assert state_of(inviting, token) == "revoked"
    assert "revoked" in refusal(inviting, "--site", "second", "link", "accept", str(path))


def test_a_file_that_is_no_token_is_told_as_such(inviting: Lab) -> None:
    path = inviting.directory / "letter"
    path.write_text("dear hub, let me in\n")
    assert "token" in refusal(inviting, "--site", "second", "link", "accept", str(path))


def test_a_site_is_made_once(inviting: Lab) -> None:
    said = refusal(inviting, "init", "first")
    assert "'first' exists already" in said
    assert inviting.status("first")["router"]["site"] == "first"
