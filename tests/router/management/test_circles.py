"""A port that one site of this machine opens is not the target of the same address at another."""

import pytest

from lab.network import network
from lab.ports import free_port
from van.config import ConnectorConfig, ListenerConfig, SiteConfig
from van.config.file import save_config
from van.control import endpoints as api
from van.control.values.attachments import ListenerSpec
from van.errors import AlreadyExists
from van.files import make_private_directory
from van.names import Address, Endpoint
from van.paths import SitePaths
from van.router.management.circles import Circles
from van.router.site.trust import Trust
from van.tls.credentials import Credentials
from van.tls.keys import generate_key, make_request

DB = Address.parse("db:5432")


def connector(target, address=DB):
    return ConnectorConfig("tcp", address, Endpoint.parse(target))


def listener(listen, address=DB):
    return ListenerConfig("tcp", address, Endpoint.parse(listen))


class Machine:
    """Two sites, of which one is asked, and what they have on disk."""

    def __init__(self, directory):
        self.directory = directory
        self.west = Credentials.create("west")
        key = generate_key()
        chain = self.west.authority.issue_site(
            make_request(key), site="east", grants=self.west.identity.grants
        )
        for credentials in (self.west, Credentials(key, chain, self.west.root)):
            self.keep(credentials)
        self.circles = Circles(self.paths("west"), Trust(self.west))

    def paths(self, site):
        return SitePaths(self.directory / "c" / site, self.directory / "s" / site)

    def keep(self, credentials):
        """Write a site's identity, as its router would."""
        paths = self.paths(credentials.site)
        make_private_directory(paths.config_dir)
        make_private_directory(paths.state_dir)
        credentials.save(paths.identity_file)

    def write(self, site, *, targets=(), listens=()):
        """Write what a site exposes and binds, as its router would."""
        config = SiteConfig(
            connectors=tuple(map(connector, targets)), listeners=tuple(map(listener, listens))
        )
        save_config(self.paths(site).config_file, config)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize("at", ["west", "east"])
@pytest.mark.parametrize("listen", ["5432", "0.0.0.0:5432", "localhost:5432", "[::]:5432"])
def test_a_port_is_not_opened_where_the_server_is_expected(machine, at, listen):
    machine.write(at, targets=["127.0.0.1:5432"])
    said = f"is where site '{at}' expects the server of db:5432: choose another"
    with pytest.raises(AlreadyExists, match=said):
        machine.circles.check_listener(listener(listen))


@pytest.mark.parametrize("at", ["west", "east"])
def test_a_port_that_leads_to_the_address_is_no_target_of_it(machine, at):
    machine.write(at, listens=["127.0.0.1:5432"])
    with pytest.raises(
        AlreadyExists, match=f"is the port that site '{at}' opens to db:5432 itself"
    ):
        machine.circles.check_connector(connector("5432"))


def test_other_ports_and_other_addresses_are_let_pass(machine):
    machine.write("east", targets=["127.0.0.1:5432"], listens=["127.0.0.1:6000"])
    for listen in ("15432", "10.0.0.9:5432", "127.0.0.2:5432"):
        machine.circles.check_listener(listener(listen))
    machine.circles.check_listener(listener("5432", Address.parse("other:5432")))
    for target in ("10.0.0.9:6000", "127.0.0.1:5432"):
        machine.circles.check_connector(connector(target))


def test_between_two_networks_it_is_a_bridge(machine):
    machine.write("east", targets=["127.0.0.1:5432"])
    machine.keep(Credentials.create("east"))
    machine.circles.check_listener(listener("5432"))


def test_a_site_whose_network_can_not_be_told_is_taken_to_be_of_this_one(machine):
    machine.write("east", targets=["127.0.0.1:5432"])
    machine.paths("east").identity_file.write_text("?")
    with pytest.raises(AlreadyExists):
        machine.circles.check_listener(listener("5432"))


def test_a_site_whose_file_is_broken_stops_no_other(machine):
    machine.paths("east").config_file.write_text("?")
    machine.circles.check_listener(listener("5432"))


async def test_every_client_of_the_control_api_is_refused():
    port = free_port()
    async with network() as net:
        west, east = await net.line("west", "east")
        await east.expose("db:1", port)
        with pytest.raises(AlreadyExists, match="is where site 'east' expects the server of db:1"):
            await west.ask(api.BIND, ListenerSpec(address="db:1", listen=str(port)))
        await west.ask(api.BIND, ListenerSpec(address="web:1", listen=str(port)))
        with pytest.raises(AlreadyExists, match="is the port that site 'west' opens to web:1"):
            await east.expose("web:1", port)
        assert not [
            each
            for each in east.router.data.attachments.connectors.statuses()
            if each.address == "web:1"
        ]
