"""A port that one site of this machine opens is not the target of the same address at another."""

import pytest

from van.config import ConnectorConfig, ListenerConfig, SiteConfig, save_config
from van.names import Address, Endpoint
from van.paths import site_paths

DB = Address.parse("db:5432")


@pytest.fixture
def east(run_here, site):
    """A second site; writes what it exposes and binds, as its router would."""
    assert run_here("init", "east", "--no-start").returncode == 0

    def write(*, targets=(), listens=()):
        config = SiteConfig(
            connectors=tuple(ConnectorConfig("tcp", DB, Endpoint.parse(text)) for text in targets),
            listeners=tuple(ListenerConfig("tcp", DB, Endpoint.parse(text)) for text in listens),
        )
        save_config(site_paths("east").config_file, config)

    return write


@pytest.mark.parametrize("at", ["west", "east"])
@pytest.mark.parametrize("listen", ["5432", "0.0.0.0:5432", "localhost:5432", "[::]:5432"])
def test_a_port_is_not_opened_where_the_server_is_expected(run_here, east, at, listen):
    east(targets=["127.0.0.1:5432"])
    done = run_here("bind", "tcp", "db:5432", "--listen", listen, "--site", at)
    assert done.returncode == 1
    assert "is where site 'east' expects the server of db:5432: choose another" in done.stderr


@pytest.mark.parametrize("at", ["west", "east"])
def test_a_port_that_leads_to_the_address_is_no_target_of_it(run_here, east, at):
    east(listens=["127.0.0.1:5432"])
    done = run_here("expose", "tcp", "db:5432", "--site", at)
    assert done.returncode == 1
    assert "is the port that site 'east' opens to db:5432 itself" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["bind", "tcp", "db:5432", "--listen", "15432"],
        ["bind", "tcp", "other:5432"],
        ["expose", "tcp", "db:5432", "--target", "10.0.0.9:6000"],
        ["expose", "tcp", "db:5432", "--target", "127.0.0.1:5432"],
        ["bind", "tcp", "db:5432", "--listen", "10.0.0.9:5432"],
        ["bind", "tcp", "db:5432", "--listen", "127.0.0.2:5432"],
    ],
    ids=" ".join,
)
def test_other_ports_and_other_addresses_are_let_pass(run_here, east, arguments):
    east(targets=["127.0.0.1:5432"], listens=["127.0.0.1:6000"])
    done = run_here(*arguments, "--site", "west")
    assert "router of site 'west' is not running" in done.stderr


def test_a_site_whose_file_is_broken_stops_no_other(run_here, east):
    site_paths("east").config_file.write_text("?")
    done = run_here("bind", "tcp", "db:5432", "--site", "west")
    assert "router of site 'west' is not running" in done.stderr
