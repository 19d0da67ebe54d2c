"""A site is taken out of the way of others, for maintenance or for good."""

import json

import pytest

from van.config.file import load_config
from van.paths import site_paths


def transit(van):
    """Return what `van status` says of the site's transit."""
    lines = van("status").stdout.splitlines()
    return next(line.split(maxsplit=1)[1] for line in reversed(lines) if "  transit " in line)


def test_a_site_is_drained_and_taken_back_into_service(van, running):
    assert transit(van).startswith("yes")
    assert van("site", "drain").stdout == "site 'west': drained\n"
    assert load_config(site_paths("west").config_file).drained
    assert transit(van).startswith("no: drained")
    again = van("site", "drain")
    assert (again.returncode, again.stdout) == (0, "site 'west': drained (it was already)\n")
    assert van("site", "undrain").stdout == "site 'west': in service\n"
    assert not load_config(site_paths("west").config_file).drained
    again = van("site", "undrain")
    assert (again.returncode, again.stdout) == (0, "site 'west': in service (it was already)\n")
    events = van("events", "--json", "--no-follow").stdout.splitlines()
    kinds = [json.loads(line)["kind"] for line in events]
    assert kinds.count("transit-changed") == 2


def test_a_site_that_declines_transit_for_good_is_neither_drained_nor_undrained(van, home):
    done = van("init", "laptop", "--no-transit")
    assert done.returncode == 0, done.stderr
    try:
        before = load_config(site_paths("laptop").config_file)
        assert not before.transit
        assert transit(van).startswith("no: nothing is ever sent")
        for verb in ("drain", "undrain"):
            done = van("site", verb)
            assert done.returncode == 0
            assert "this site declines transit for good" in done.stdout
        assert load_config(site_paths("laptop").config_file) == before
    finally:
        van("down", "--force", "--timeout", "1")


def test_a_site_is_shown_and_one_that_is_there_is_not_forgotten(van, running):
    shown = van("site", "show", "west")
    assert shown.returncode == 0, shown.stderr
    assert "the authority of the VAN" in shown.stdout
    found = json.loads(van("site", "show", "west", "--json").stdout)
    assert (found["site"], found["state"]) == ("west", "up")
    for command, told in (
        (("show", "nobody"), "site 'nobody' is not known here"),
        (("forget", "nobody"), "site 'nobody' is not known here"),
        (("forget", "west"), "site 'west' can't forget itself"),
    ):
        done = van("site", *command)
        assert (done.returncode, done.stdout) == (1, "")
        assert told in done.stderr


@pytest.mark.parametrize("command", ["expel", "forget"])
def test_what_is_no_key_is_told_before_anything_is_asked(van, running, command):
    done = van("site", command, "laptop", "--key", "5555555555555555…")
    assert (done.returncode, done.stdout) == (2, "")
    assert "not valid: give all its 64 digits, as 'van site show' and 'van site" in done.stderr


def test_a_reason_that_is_too_long_is_told_with_how_long_it_may_be(van, running):
    done = van("site", "expel", "laptop", "--reason", "a" * 201)
    assert (done.returncode, done.stdout) == (2, "")
    assert "reason of 201 characters is too long: use 200 at most" in done.stderr


def test_a_name_is_freed_once_somebody_has_said_yes(van, running):
    """By the key alone, as nobody of that name was ever here."""
    command = ("site", "forget", "laptop", "--key", "5" * 64)
    asked = van(*command)
    assert asked.returncode == 1
    assert "site 'laptop' has key 5555555555555555…" in asked.stdout
    assert "nobody has said yes" in asked.stderr
    assert "nobody was expelled" in van("site", "expelled").stdout
    done = van(*command, "--yes")
    assert done.stdout.endswith("site 'laptop' is forgotten: its name is free for another key\n")
    again = van(*command)
    assert again.stdout == "site 'laptop' is forgotten already: its name is free for another key\n"
    assert "its key was lost" in van("site", "expelled").stdout
    (found,) = json.loads(van("site", "expelled", "--json").stdout)
    assert found["is_forgotten"]
