"""A site is taken out of the way of others, for maintenance or for good."""

import json

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
