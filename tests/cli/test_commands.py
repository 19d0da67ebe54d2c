"""Commands as a person runs them, as far as no router is needed."""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.docs.test_commands import calls_in, parse, walk
from van import __version__
from van.cli.examples import EXAMPLES
from van.cli.help import GROUPS
from van.cli.main import PROGRAM
from van.config import SiteConfig
from van.config.file import load_config
from van.errors import StorageError
from van.names import Endpoint
from van.paths import site_paths
from van.tls.credentials import Credentials


def test_help_lists_every_command(van):
    done = van("--help")
    assert done.returncode == 0
    assert van("help").stdout == done.stdout
    for command in (
        *("init", "up", "down", "status", "network", "trace", "explain", "events"),
        *("expose", "unexpose", "bind", "unbind", "services"),
        *("link", "token", "site", "router", "demo", "restart", "logs", "ls", "ps", "help"),
    ):
        assert f"\n  {command} " in done.stdout


@pytest.mark.process
@pytest.mark.parametrize("word", ["--version", "version"])
def test_version_is_printed(van_process, word):
    assert van_process(word).stdout == f"van {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["init"],
        ["init", "west", "--advertise", "a:1"],
        ["link", "create", "--uses", "0"],
        ["link", "cost", "hub", "65536"],
        ["link", "cost", "hub", "0"],
        ["link", "cost", "hub", "Auto"],
        ["link", "create", "--cost", "0"],
        ["link", "hold", "hub", "soon"],
        ["link", "hold", "hub", "99ms"],
        ["link", "hold", "hub", "60.1"],
        ["link", "accept", "-", "--hold", "0"],
        ["status", "3"],
        ["status", "--watch", "--json"],
        ["down", "--timeout", "soon"],
        ["network", "--json", "--dot"],
        ["trace"],
        ["explain"],
        ["expose", "tcp", "db:1", "--weight", "0"],
        ["expose", "tcp", "db:1", "--weight", "1001"],
        ["expose", "tcp", "db:1", "--precedence", "256"],
        ["bind", "udp", "db:1", "--idle", "0s"],
        ["bind", "tcp", "db:1", "--idle", "5s"],
        ["events", "--last", "-1"],
        ["help", "nothing"],
        ["help", "link", "nothing"],
        ["logs", "--since", "yesterday"],
        ["bind", "udp", "db:1", "--first-reply"],
        ["expose", "tcp", "db:1", "--add"],
        ["-s", "east", "init", "west"],
        ["-s", "west", "site", "list"],
        ["-s", "west", "version"],
        ["unbind", "udp6", "db:1"],
        ["expose", "ftp", "db:5432"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(van, site, arguments):
    done = van(*arguments)
    assert done.returncode == 2
    assert "Usage: " in done.stderr


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("expose db:5432", "van expose tcp db:5432"),
        ("expose db:5432 tcp", "van expose tcp db:5432"),
        ("unexpose db:5432", "van unexpose tcp db:5432"),
        ("bind db:5432 --listen 80", "van bind tcp db:5432"),
        ("unbind 5432", "van unbind tcp NAME:5432"),
        ("expose TCP db:5432", "protocol 'TCP' is written 'tcp'"),
        ("explain tcp db:5432", "van explain db:5432 --protocol tcp"),
        ("trace udp dns:53", "van trace dns:53 --protocol udp"),
        ("-s east init west", "'van init' takes no --site"),
    ],
)
def test_what_was_probably_meant_is_said(van, site, typed, meant):
    done = van(*typed.split())
    assert done.returncode == 2
    assert meant in done.stderr


@pytest.mark.slow("has every command show its help, in two ways")
def test_every_command_shows_examples_that_can_be_typed(van, site):
    named = set()
    for words, command in [(["van"], PROGRAM), *walk(PROGRAM, ["van"])]:
        name = " ".join(words[1:] if isinstance(words, list) else words.split()[1:])
        done = van(*name.split(), "--help")
        _, _, shown = done.stdout.partition("\nExamples:\n")
        lines = [line.strip() for line in shown.splitlines()]
        assert lines, name
        assert van("help", *name.split()).stdout == done.stdout
        for line in lines:
            for call in calls_in(line):
                parse(call)
        named.add(name)
        assert command
    commands = vars(PROGRAM)["commands"]
    groups = {name for name, each in commands.items() if hasattr(each, "commands")}
    assert set(EXAMPLES) == named | groups


def test_help_is_grouped_and_no_line_is_cut_at_eighty_columns(van):
    done = van("--help", env={**os.environ, "COLUMNS": "80"})
    titles = [line[:-1] for line in done.stdout.splitlines() if re.fullmatch(r"[A-Z].*:", line)]
    assert titles == ["Options", *GROUPS, "Examples"]
    assert "..." not in done.stdout.partition("Sites and")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["expose", "tcp", "My DB"], "address 'My DB' is not valid: use NAME:PORT"),
        (["expose", "tcp", "db:5432", "--target", "a b"], "port 'a b' of 'a b' is not valid"),
        (["unexpose", "tcp", "db"], "address 'db' is not valid"),
        (["bind", "tcp", "db:0"], "port '0' of 'db:0' is not valid"),
        (["bind", "tcp", "db:1", "--listen", "x:y"], "port 'y' of 'x:y' is not valid"),
        (["link", "create", "--expires", "15"], "duration '15' is not valid"),
        (["link", "create", "--expires", "0s"], "use 1s to 366d"),
        (["link", "create", "--allow-expose", "web,*x"], "pattern '*x' is not valid"),
        (["link", "delete", "Hub"], "site name 'Hub' is not valid"),
        (["init", "East"], "site name 'East' is not valid"),
        (["init", "east", "--listen", "0.0.0.0"], "port '0.0.0.0' of '0.0.0.0' is not valid"),
        (["status", "--site", "No Where"], "site name 'No Where' is not valid"),
        (["trace", "My Site"], "site name 'My Site' is not valid"),
        (["trace", "db:"], "port '' of 'db:' is not valid"),
        (["explain", "db"], "address 'db' is not valid"),
        (["explain", "db:1", "--protocol", "x"], "protocol 'x' is not known"),
        (["expose", "tcp", "db:1", "--check", "ping"], "check 'ping' is not valid"),
        (["expose", "tcp", "db:1", "--target", "unix:s"], "target 'unix:s' is not valid"),
        (["network", "--from", "My Site"], "site name 'My Site' is not valid"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_value_is_one_line_that_says_what_would_be_right(van, site, arguments, message):
    done = van(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("van: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["link", "accept", "/nowhere/token"], "token file /nowhere/token is not there"),
        (["link", "accept", "-"], "is not a token"),
        (["site", "delete", "nowhere"], "site 'nowhere' is not set up here"),
        (["status", "--site", "nowhere"], "site 'nowhere' is not set up here"),
        (["logs"], "nothing has been logged yet"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_is_one_line(van, site, arguments, message):
    done = van(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "--json"],
        ["link", "list"],
        ["link", "create"],
        ["link", "cost", "hub", "3"],
        ["link", "hold", "hub", "500ms"],
        ["site", "drain"],
        ["site", "undrain"],
        ["token", "list"],
        ["token", "revoke", "x"],
        ["expose", "tcp", "db:5432"],
        ["unbind", "tcp", "db:5432"],
        ["network"],
        ["trace", "east"],
        ["explain", "db:1"],
        ["services"],
        ["events"],
    ],
    ids=" ".join,
)
def test_commands_say_how_to_start_the_router(van, site, arguments):
    done = van(*arguments)
    assert done.returncode == 1
    assert done.stderr == "van: router of site 'west' is not running: start it with 'van up'\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.process
def test_output_that_finds_no_space_is_one_line(home):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "van", "site", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "van: no space left on device\n")


def test_down_is_content_when_the_router_is_not_running(van, site):
    done = van("down")
    assert (done.returncode, done.stdout) == (0, "router of site 'west' is not running\n")


def test_the_first_command_says_how_to_make_a_site(van):
    assert van("status").stderr == "van: no site is set up here: run 'van init NAME'\n"


def test_init_makes_a_site(van, home):
    done = van("init", "west", "--no-start", "--listen", "0.0.0.0:7671", "--advertise", "edge:1")
    assert done.returncode == 0
    paths = site_paths("west")
    assert load_config(paths.config_file) == SiteConfig(
        listen=Endpoint("0.0.0.0", 7671), advertise=(Endpoint("edge", 1),)
    )
    assert paths.identity_file.stat().st_mode & 0o777 == 0o600
    assert paths.state_dir.stat().st_mode & 0o777 == 0o700
    assert not paths.control_socket.exists()


def test_a_site_is_made_once(van, site):
    before = site_paths(site).identity_file.read_bytes()
    done = van("init", site, "--no-start")
    assert done.returncode == 1
    assert "site 'west' exists already" in done.stderr
    assert site_paths(site).identity_file.read_bytes() == before


@pytest.mark.process
@pytest.mark.parametrize(
    ("listen", "why"),
    [("192.0.2.1:7671", "can't open port"), ("nowhere.invalid:7671", "can't open port")],
)
def test_an_init_whose_router_can_not_start_leaves_nothing(van, home, listen, why):
    done = van("init", "west", "--listen", listen)
    assert done.returncode == 1
    assert why in done.stderr
    assert done.stdout == ""
    assert not [path for path in home.rglob("*") if path.name == "west"]
    assert van("init", "west", "--no-start").returncode == 0


@pytest.mark.parametrize("part", ["save_config", "Credentials.save"])
def test_an_init_that_fails_half_way_leaves_nothing(van, home, monkeypatch, part):
    def fail(*_, **__):
        raise StorageError("no space left on device")

    place = "van.config.file." if part == "save_config" else "van.tls.credentials."
    monkeypatch.setattr(place + part, fail)
    done = van("init", "west")
    assert (done.returncode, done.stderr) == (1, "van: no space left on device\n")
    assert not [path for path in home.rglob("*") if path.name == "west"]


def test_a_path_that_no_socket_can_have_is_refused_before_anything_is_made(van, home, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ("long" * 30)))
    done = van("init", "west", "--no-start")
    assert "too long for a unix socket" in done.stderr
    assert list(home.iterdir()) == []


def test_site_stands_before_or_after_the_command(van, site):
    assert van("init", "east", "--no-start").returncode == 0
    assert "choose with --site or VAN_SITE" in van("down").stderr
    for arguments in (["--site", "west", "down"], ["down", "-s", "west"]):
        assert van(*arguments).stdout == "router of site 'west' is not running\n"
    done = van("-s", "east", "down", "-s", "west", env={**os.environ, "VAN_SITE": "east"})
    assert "'west'" in done.stdout
    assert "'east'" in van("-s", "east", "down", env={**os.environ, "VAN_SITE": "west"}).stdout
    assert "'east'" in van("down", env={**os.environ, "VAN_SITE": "east"}).stdout


def test_sites_are_listed(van, site):
    assert "west  down" in van("site", "list").stdout
    assert json.loads(van("site", "list", "--json").stdout) == [
        {
            "site": "west",
            "router": "down",
            "van": None,
            "config": str(site_paths("west").config_file),
        }
    ]


def test_a_site_is_deleted_once_that_is_confirmed(van, site):
    asked = van("site", "delete", site)
    assert (asked.returncode, asked.stdout) == (
        1,
        "delete site 'west' with its keys, for good? [y/N]: ",
    )
    assert "is not deleted" in asked.stderr
    assert site_paths(site).identity_file.exists()
    assert van("site", "delete", site, stdin="y\n").returncode == 0
    assert not site_paths(site).state_dir.exists()
    assert not site_paths(site).config_dir.exists()


def test_who_deletes_a_site_is_told_that_the_network_was_not(van, site):
    site_paths(site).tokens_dir.mkdir()
    done = van("site", "delete", site, "--yes")
    assert done.returncode == 0
    assert "the network was not told" in done.stderr


def test_an_init_says_how_long_certificates_are_good(van, home):
    assert van("init", "vault", "--no-start", "--certificate-life", "1h").returncode == 0
    identity = Credentials.load(site_paths("vault").identity_file).identity
    assert identity.grants.life == identity.not_after - identity.issued_at == timedelta(hours=1)
    done = van("init", "other", "--no-start", "--certificate-life", "9s")
    assert "is not valid for a certificate: use 10s to 366d" in done.stderr
    assert not site_paths("other").identity_file.exists()


def test_an_existing_file_is_not_overwritten_by_a_token(van, site, tmp_path):
    file = tmp_path / "token"
    file.write_text("precious")
    done = van("link", "create", str(file))
    assert "use --force to replace it" in done.stderr
    assert file.read_text() == "precious"


@pytest.mark.process
def test_a_router_that_gives_up_is_quoted(van, site):
    site_paths(site).identity_file.write_text("not an identity")
    done = van("up")
    assert done.returncode == 1
    assert done.stderr.startswith("van: router of site 'west' did not start: file ")
    assert f"{site_paths(site).identity_file} is damaged" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.process
def test_nobody_reading_is_no_error(home):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "van", "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(write)
    assert done.stderr == b""


@pytest.mark.process
def test_commands_start_without_what_they_do_not_need():
    script = "import sys, van.cli.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"trio", "cryptography", "rich", "rich.console", "pydantic", "asyncio"}


def test_the_demo_does_not_touch_sites_that_are_there(van):
    assert van("init", "demo-hub", "--no-start").returncode == 0
    done = van("demo")
    assert done.returncode == 1
    assert "'van demo --stop' removes an earlier demo" in done.stderr
    assert site_paths("demo-hub").identity_file.exists()


def test_the_demo_has_nothing_to_stop(van):
    assert van("demo", "--stop").stdout == "there is no demo to remove\n"
