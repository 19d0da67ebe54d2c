"""The table of keys agrees with the values, with the file's head, and with the reference page."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import attrs
import pytest

from van.config import SiteConfig
from van.config.file import decode_config, encode_config
from van.config.keys import LISTS, ROUTER, SECTIONS
from van.config.reference import WIDTH, render_header, render_page
from van.errors import ConfigError

PAGE = Path("docs/configuration.md")
CONFIG = Path("config.toml")


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_every_field_has_a_key_with_its_default(section):
    fields = {each.name: each.default for each in attrs.fields(section.make)}
    if section is ROUTER:
        fields = {name: fields[name] for name in fields.keys() - {each.field for each in LISTS}}
    if "protocol" in fields:  # which only the file may leave out
        fields["protocol"] = "tcp"
    assert {key.name: key.default for key in section.keys} == fields


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_every_example_of_the_head_is_taken(section):
    lines = [f"{key.name} = {key.example}" for key in section.keys]
    text = "\n".join((section.header, *lines))
    decode_config(CONFIG, text.encode())
    with pytest.raises(
        ConfigError, match=r"config\.toml:2: key 'unknown' is not known in"
    ) as caught:
        decode_config(CONFIG, f"{section.header}\nunknown = 1".encode())
    assert str(caught.value).endswith(", ".join(key.name for key in section.keys))


def test_the_head_of_a_file_names_every_key_and_fits_a_terminal():
    lines = render_header().splitlines()
    assert max(map(len, lines)) <= WIDTH
    found: dict[str, list[str]] = {}
    for line in lines:
        if header := re.fullmatch(r"# (\[+\w+\]+)", line):
            keys = found.setdefault(header[1], [])
        elif key := re.match(r"#   (\w+) = ", line):
            keys.append(key[1])
    assert found == {section.header: [key.name for key in section.keys] for section in SECTIONS}
    assert encode_config(SiteConfig()).decode() == render_header()
    assert tomllib.loads(render_header()) == {}


@pytest.mark.parametrize("name", ["", "BBR", "a b", "x" * 16, "b\\u00e9"])
def test_a_congestion_control_that_no_system_could_have_is_refused(name):
    with pytest.raises(ConfigError, match="use system, or a name as bbr"):
        decode_config(CONFIG, f'[router]\ncongestion = "{name}"'.encode())
    assert decode_config(CONFIG, b'[router]\ncongestion = "bbr"').congestion == "bbr"


def test_the_reference_page_is_made_from_the_same_table():
    assert PAGE.read_text() == render_page(), "run 'make docs'"


@pytest.mark.process
def test_commands_that_make_no_site_load_no_toml():
    code = (
        "import sys, van.cli.main; "
        "sys.exit(bool({'tomllib', 'tomli_w', 'van.config.file'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.process
def test_tomlkit_is_not_loaded_before_a_key_is_changed():
    code = (
        "import sys, van.cli.main, van.router.process, van.cli.commands.status; "
        "sys.exit('tomlkit' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
