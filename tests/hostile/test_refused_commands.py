"""Commands that ask for what can't be: each is told so in one line, and nothing has changed."""

import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tomli_w

from lab.ports import free_port
from lab.processes import Lab, lab, wait_for
from tests.hostile.commands import complaint, mint, refused, standing, tokens
from van.errors import TokenError
from van.tls.tokens import decode_token


@pytest.fixture(scope="module")
def net() -> Iterator[Lab]:
    """Three sites in one network, and `other`, which has another with `friend` in it."""
    with lab() as machine:
        machine.three_sites()
        machine.init("other")
        machine.init("friend")
        machine.link("friend", "other")
        machine.init("new")
        yield machine


@pytest.fixture(scope="module")
def good(net: Lab) -> Path:
    return mint(net, "hub", "good", "--uses", "50", "--expires", "1h")


# -- tokens ----------------------------------------------------------------------------------------


def test_an_expired_token_is_refused(net):
    path = mint(net, "hub", "expired", "--expires", "1s")
    token = tomllib.loads(path.read_text())["id"]
    wait_for(lambda: tokens(net, "hub")[token] == "expired", "the token expires")
    said = refused(net, "--site", "new", "link", "accept", str(path))
    assert "expired" in said
    assert "by the clock of site 'hub'" in said
    assert "van link create" in said


def test_a_revoked_token_is_refused(net):
    path = mint(net, "hub", "revoked")
    net.run("--site", "hub", "token", "revoke", tomllib.loads(path.read_text())["id"])
    said = refused(net, "--site", "new", "link", "accept", str(path))
    assert "revoked: ask for a new one" in said


def test_of_two_sites_that_accept_a_token_at_the_same_moment_one_gets_in(net):
    path = mint(net, "hub", "once")
    rivals = [f"rival-{number}" for number in range(2)]
    for rival in rivals:
        net.init(rival)
    before = {rival: status_van(net, rival) for rival in rivals}
    racing = [
        subprocess.Popen(
            [sys.executable, "-m", "van", "--site", rival, "link", "accept", str(path)],
            env=net.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rival in rivals
    ]
    said = [program.communicate(timeout=30)[1] for program in racing]
    assert sorted(program.returncode for program in racing) == [0, 1]
    loser = next(n for n, program in enumerate(racing) if program.returncode)
    assert "used up: ask for a new one" in said[loser]
    assert said[loser].count("\n") == 1
    assert status_van(net, rivals[loser]) == before[rivals[loser]]
    assert status_van(net, rivals[1 - loser]) == status_van(net, "hub")
    # And later, by a third.
    assert "used up" in refused(net, "--site", "new", "link", "accept", str(path))


def status_van(machine: Lab, site: str) -> str:
    van: str = machine.status(site)["router"]["van"]
    return van


def test_a_token_of_another_network_is_refused_by_a_member_of_one(net, good):
    said = refused(net, "--site", "other", "link", "accept", str(good))
    assert "which has other sites" in said
    assert "van init" in said
    said = refused(net, "--site", "friend", "link", "accept", str(good))
    assert "which has other sites" in said


def test_a_token_is_refused_by_the_site_that_minted_it(net, good):
    said = refused(net, "--site", "hub", "link", "accept", str(good))
    assert said == "this site minted the token itself: accept it at another site"


def test_a_site_whose_name_is_taken_is_refused(net, good):
    """Another machine has sites of the names of the minting site, and of a third one."""
    with lab() as elsewhere:
        for name in ("hub", "west"):
            elsewhere.init(name)
            said = refused(elsewhere, "--site", name, "link", "accept", str(good))
            assert f"site name '{name}' is taken" in said
            assert "make a site of another name" in said


def test_a_token_whose_site_is_gone_is_refused_with_where_it_was_sought(net):
    with lab() as elsewhere:
        elsewhere.init("gone")
        path = mint(elsewhere, "gone", "gone")
        elsewhere.run("--site", "gone", "down")
        said = refused(net, "--site", "new", "link", "accept", str(path))
        assert "site 'gone' can't be reached" in said
        assert "check that its router is up" in said


def test_a_token_that_was_cut_off_anywhere_is_refused(good):
    text = good.read_text().rstrip("\n")
    decode_token(text)
    for cut in range(len(text)):
        with pytest.raises(TokenError):
            decode_token(text[:cut])


@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 0.99])
def test_a_token_that_was_cut_off_is_refused_in_words(net, good, part):
    path = net.directory / "cut.toml"
    data = good.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    said = refused(net, "--site", "new", "link", "accept", str(path))
    assert "token" in said


OTHER_VALUES = {
    "version": 3,
    "id": "0123456789abcdef",
    "van": "a" * 26,
    "site": "west",
    "addresses": ["127.0.0.1:9"],
    "cost": 7,
    "names": ["mallory"],
    "replaces": True,
    "can_invite": True,
    "allow_expose": ["web"],
    "allow_bind": [],
    "may_name": ["mallory"],
    "may_tag": ["prod"],
    "tags": ["prod"],
    "life": 60,
    "is_ephemeral": True,
    "expires": datetime(2099, 1, 1, tzinfo=UTC),
    "root": None,
    "certificates": None,
    "key": None,
    "signature": "AAAA",
}


@pytest.mark.parametrize("field", OTHER_VALUES)
def test_a_token_that_was_edited_in_any_field_is_refused(net, good, field):
    fields = tomllib.loads(good.read_text())
    assert set(fields) == set(OTHER_VALUES)
    # What can't be made up is taken from another good token.
    other = tomllib.loads(mint(net, "other", "donor").read_text())
    fields[field] = other[field] if OTHER_VALUES[field] is None else OTHER_VALUES[field]
    edited = tomli_w.dumps(fields)
    with pytest.raises(TokenError):
        decode_token(edited)
    if field in ("addresses", "key"):
        path = net.directory / "edited.toml"
        path.write_text(edited)
        said = refused(net, "--site", "new", "link", "accept", str(path))
        assert "edited or damaged" in said
        assert "copy the whole file again" in said


def test_a_token_with_a_field_more_or_less_is_refused(good):
    fields = tomllib.loads(good.read_text())
    for field in fields:
        if field != "version":
            with pytest.raises(TokenError):
                decode_token(tomli_w.dumps({k: v for k, v in fields.items() if k != field}))
    with pytest.raises(TokenError):
        decode_token(tomli_w.dumps({**fields, "admin": True}))


# -- files that are no tokens ----------------------------------------------------------------------


def test_what_is_no_token_is_refused(net, tmp_path):
    huge = tmp_path / "huge"
    huge.write_bytes(b"#" * 3_000_000)
    binary = tmp_path / "binary"
    binary.write_bytes(os.urandom(2000))
    text = tmp_path / "text"
    text.write_text("dear diary\n" * 10)
    nested = tmp_path / "nested"
    nested.write_text("a = " + "[" * 50_000)
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    for path in (huge, binary, text, nested, empty, tmp_path, tmp_path / "none", Path("/dev/zero")):
        said = refused(net, "--site", "new", "link", "accept", str(path))
        assert len(said) < 400, path


def test_standard_input_is_read_as_a_token(net, good):
    for data in (b"", b"\xff\xfe", b"x" * 1_000_000, good.read_bytes()[:-300]):
        assert "token" in refused(net, "--site", "new", "link", "accept", "-", stdin=data)
    before = standing(net)
    done = net.run("--site", "west", "link", "accept", "-", stdin=good.read_bytes())
    assert "link to site 'hub'" in done.stdout
    # The link is made anew, which its other end may take note of after this one.
    wait_for(lambda: standing(net) == before, "west and the hub have one link, as before")


# -- names and numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["My-Site", "-a", "a.b", "a" * 64, "", "../x", "ä"])
def test_a_name_that_is_no_dns_label_is_refused(net, name):
    said = refused(net, "init", "--", name, code=2)
    assert f"site name {name!r} is not valid: use up to 63 lower-case letters" in said


def test_a_site_that_exists_is_not_made_again(net):
    assert "exists already: choose another name" in refused(net, "init", "hub")


def test_what_is_there_already_is_not_made_again(net):
    port = free_port()
    for said_again in ("", "already"):
        for command, *rest in (("expose", "--target", "9"), ("bind", "--listen", str(port))):
            done = net.run("--site", "east", command, "tcp", "twice:1", *rest)
            assert said_again in done.stdout
    said = refused(net, "--site", "east", "bind", "tcp", "else:1", "--listen", f"127.0.0.1:{port}")
    assert f"port 127.0.0.1:{port} is bound to twice:1 already" in said
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = f"127.0.0.1:{busy.getsockname()[1]}"
        said = refused(net, "--site", "east", "bind", "tcp", "else:1", "--listen", taken)
        assert f"can't open port {taken}: address already in use; choose another port" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("expose", "tcp", "db:5432", "--target", "host:http"), "port 'http'"),
        (("expose", "tcp", "db:5432", "--target", ":80"), "has no host"),
        (("expose", "tcp", "db:5432", "--target", "a..b:80"), "use HOST:PORT"),
        (("expose", "tcp", "db:5432", "--target", "http://a:80"), "is not valid"),
        (("expose", "tcp", "db:5432", "--target", "::1:80"), "[HOST]:PORT"),
        (("expose", "tcp", "db:5432", "--target", "h" * 300 + ":80"), "use HOST:PORT"),
        (("expose", "tcp", "db:5432", "--target", "a:65536"), "from 1 to 65535"),
        (("expose", "tcp", "db:٣"), "from 1 to 65535"),
        (("expose", "tcp", "DB:5432"), "lower-case letters"),
        (("expose", "udp!", "db:5432"), "protocol 'udp!' is not known"),
        (("link", "delete", "No Body"), "site name 'No Body' is not valid"),
        (("link", "create", "--expires", "0s"), "use 1s to 366d"),
        (("link", "create", "--expires", "367d"), "use 1s to 366d"),
        (("link", "create", "--expires", "soon"), "use numbers with units"),
        (("link", "create", "--allow-expose", "a*"), "pattern 'a*' is not valid"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_a_value_that_can_be_none_is_wrong_usage(net, arguments, message):
    site = "hub" if arguments[:2] == ("link", "create") else "east"
    assert message in refused(net, "--site", site, *arguments, code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bind", "tcp", "db:5432", "--listen", "192.0.2.7:5000"), "can't open port"),
        (("bind", "tcp", "db:5432", "--listen", "nowhere.invalid:5000"), "can't open port"),
        (("unexpose", "tcp", "none:1"), "is not exposed here: see 'van status'"),
        (("unbind", "tcp", "none:1"), "is not bound here: see 'van status'"),
        (("link", "delete", "nobody"), "no link to site 'nobody': see 'van link list'"),
        (("link", "cost", "nobody", "5"), "no link to site 'nobody'"),
        (("token", "revoke", "../identity"), "was not minted here"),
        (("link", "create", "--allow-bind", ",".join(["a" * 60] * 90)), "patterns take"),
        (("link", "create", "/nowhere/at/all.toml"), "/nowhere/at/all.toml"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_is_asked_wrongly_is_refused(net, arguments, message):
    site = "hub" if arguments[:2] == ("link", "create") else "east"
    if arguments[-1].startswith("/nowhere"):
        # The token was minted before its file could not be written: nobody can have it.
        said = complaint(net, "--site", site, *arguments)
        assert sorted(tokens(net, "hub").values()).count("revoked") >= 1
    else:
        said = refused(net, "--site", site, *arguments)
    assert message in said


def test_wrong_usage_is_told_as_such(net):
    for arguments in (("link", "cost", "hub", "65536"), ("link", "create", "--uses", "0")):
        refused(net, "--site", "east", *arguments, code=2)


def test_a_site_that_may_not_invite_mints_nothing(net):
    said = refused(net, "--site", "west", "link", "create")
    assert "may not invite others" in said


def test_an_unknown_site_or_a_choice_of_many_is_told(net):
    assert "site 'nobody' is not set up here: run 'van init nobody'" in refused(
        net, "--site", "nobody", "status"
    )
    said = refused(net, "status")
    assert "more than one site is set up here" in said
    assert "choose with --site or VAN_SITE" in said
    with lab() as empty:
        assert complaint(empty, "status") == "no site is set up here: run 'van init NAME'"


def test_a_router_that_is_not_running_is_told(net):
    net.run("init", "resting", "--no-start")
    said = refused(net, "--site", "resting", "expose", "tcp", "a:1")
    assert said == "router of site 'resting' is not running: start it with 'van up --site resting'"
