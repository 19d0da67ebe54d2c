"""The configuration file: what is written is read back, and every mistake names its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generators import labels
from van.config import ConnectorConfig, LinkConfig, ListenerConfig, SiteConfig
from van.config.file import load_config, save_config
from van.errors import ConfigError, StorageError
from van.names import Address, Endpoint

ports = st.integers(1, 65535)
hosts = st.one_of(
    labels,
    st.lists(labels, min_size=2, max_size=3).map(".".join),
    st.ip_addresses().map(str),
)
endpoints = st.builds(Endpoint, hosts, ports)
addresses = st.builds(Address, labels, ports)


def tuples(elements, key=lambda value: value):
    return st.lists(elements, max_size=4, unique_by=key).map(tuple)


configs = st.builds(
    SiteConfig,
    listen=st.none() | endpoints,
    advertise=tuples(endpoints),
    links=tuples(
        st.builds(LinkConfig, labels, tuples(endpoints), st.integers(1, 65535)),
        key=lambda link: link.site,
    ),
    connectors=tuples(st.builds(ConnectorConfig, st.just("tcp"), addresses, endpoints)),
    listeners=tuples(st.builds(ListenerConfig, st.just("tcp"), addresses, endpoints)),
)


@pytest.mark.slow("writes a hundred files")
@given(config=configs)
def test_what_is_saved_is_loaded(tmp_path_factory, config):
    path = tmp_path_factory.getbasetemp() / "config.toml"
    save_config(path, config)
    assert load_config(path) == config


def test_a_missing_file_is_an_empty_configuration(tmp_path):
    assert load_config(tmp_path / "config.toml") == SiteConfig()


def test_an_empty_configuration_is_a_file_with_instructions(tmp_path):
    path = tmp_path / "config.toml"
    save_config(path, SiteConfig())
    assert "van down" in path.read_text()
    assert load_config(path) == SiteConfig()


def test_only_the_owner_may_read_the_file(tmp_path):
    path = tmp_path / "config.toml"
    save_config(path, SiteConfig())
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_a_person_wrote_is_read(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("""
[router]
listen = "0.0.0.0:7671"

[[link]]
site = "hub"
addresses = [
    "hub.example:7671",  # the fast one
    "[2001:db8::1]:7671",
]

[[connector]]
address = "db:5432"
target = "5432"
""")
    assert load_config(path) == SiteConfig(
        listen=Endpoint("0.0.0.0", 7671),
        links=(
            LinkConfig("hub", (Endpoint("hub.example", 7671), Endpoint("2001:db8::1", 7671)), 1),
        ),
        connectors=(ConnectorConfig("tcp", Address("db", 5432), Endpoint("localhost", 5432)),),
    )


LINK = '[[link]]\nsite = "hub"\n'
MISTAKES = {
    "syntax": ("[router]\nlisten 7\n", 2, "not valid TOML: expected '=' after a key"),
    "syntax at the end": ('[router]\nlisten = "', 2, "not valid TOML"),
    "depth": ("a = " + "[" * 5000, 1, "nested too deep"),
    "digits": ("a = " + "1" * 5000, 1, "not valid TOML"),
    "encoding": ("[router]\nlisten = '\udcff'\n", 2, "byte 0xff is not UTF-8"),
    "unknown key": ('[router]\nlisen = "x"\n', 2, "'lisen' is not known in [router]: use one of "),
    "unknown table": (LINK + '[[lnk]]\nsite = "x"\n', 3, "use one of router, link, connector"),
    "unknown key in the second link": (
        LINK + '[[link]]\nsite = "east"\nadresses = []\n',
        5,
        "'adresses' is not known in [[link]]: use one of site, addresses, cost",
    ),
    "a number for a text": ("[router]\nlisten = 7671\n", 2, 'such as "0.0.0.0:7671"'),
    "a text for a list": ('[router]\nadvertise = "a:1"\n', 2, 'write advertise = ["edge'),
    "a table for a list": ("[link]\nsite = 'x'\n", 1, "write each under [[link]]"),
    "a list for a table": ("router = []\n", 1, "write it under [router]"),
    "bad endpoint": ('[router]\nlisten = "x"\n', 2, "port 'x' of 'x' is not valid"),
    "bad endpoint in a list": (LINK + 'addresses = ["a b:1"]\n', 3, "use HOST:PORT"),
    "bad site": ('[[link]]\nsite = "Hub"\n', 2, "site name 'Hub' is not valid"),
    "no site": ("[[link]]\ncost = 1\n", 1, '[[link]] has no site: add site = "hub"'),
    "no target": ('[[connector]]\naddress = "a:1"\n', 1, "[[connector]] has no target"),
    "no listen": ('[[listener]]\naddress = "a:1"\n', 1, "[[listener]] has no listen"),
    "bad address": ('[[listener]]\naddress = "DB:1"\n', 2, "address 'DB:1' is not valid"),
    "bad protocol": ('[[listener]]\nprotocol = "ftp"\n', 2, "'ftp' is not known: use tcp"),
    "cost 0": (LINK + "cost = 0\n", 3, "cost 0 is not valid: use a number from 1 to 65535"),
    "cost true": (LINK + "cost = true\n", 3, "cost True is not valid"),
    "cost 1.5": (LINK + "cost = 1.5\n", 3, "cost 1.5 is not valid"),
    "cost in the second link": (
        LINK + 'cost = 1\n[[link]]\nsite = "east"\ncost = 0\n',
        6,
        "cost 0 is not valid",
    ),
    "no site in the first link": ("[[link]]\ncost = 1\n" + LINK, 1, "[[link]] has no site"),
    "duplicate link": (LINK + LINK, 3, "link to 'hub' is there twice, first on line 1: keep one"),
    "duplicate connector": (
        '[[connector]]\naddress = "a:1"\ntarget = "1"\n' * 2,
        4,
        "connector of a:1 to localhost:1 is there twice",
    ),
    "duplicate listener": (
        '[[listener]]\naddress = "a:1"\nlisten = "1"\n' * 2,
        4,
        "listener of a:1 at 127.0.0.1:1 is there twice",
    ),
}


@pytest.mark.parametrize(("text", "line", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_names_its_line_and_what_would_be_right(tmp_path, text, line, message):
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)


@given(text=st.text("abls[]={}\"'#\n\\.: 0", max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text)
    try:
        load_config(path)
    except ConfigError as exc:
        assert str(exc).startswith(f"{path}:")


def test_a_directory_in_its_place_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="can't read"):
        load_config(tmp_path)
