"""Machines in trouble: files that are damaged, directories closed, disks full, ports taken."""

import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import tomli_w

from lab.fleet import Fleet
from lab.ports import free_port
from lab.processes import COMMAND_TIMEOUT, Lab, lab, wait_for
from tests.hostile.commands import complaint, files, refused, standing
from van.config import SiteConfig
from van.config.file import load_config
from van.errors import ConfigError, StorageError
from van.files import write_atomic
from van.router.site.exposures import Exposures
from van.router.site.incarnation import advance_incarnation
from van.tls.credentials import Credentials
from van.tls.ledger import TokenLedger

NOBODY = 65534


def paths(machine: Lab, site: str) -> tuple[Path, Path]:
    """Return a site's directories of configuration and of state."""
    return (
        machine.directory / "config" / "van" / site,
        machine.directory / "state" / "van" / site,
    )


@pytest.fixture
def machine() -> Iterator[Lab]:
    with lab() as made:
        yield made


# -- configuration ---------------------------------------------------------------------------------

MISTAKES = {
    "unknown-key": ('[router]\nlisten = "a:1"\nlistne = "a:1"\n', 3, "key 'listne' is not known"),
    "unknown-table": ("# hello\n\n[ruoter]\n", 3, "key 'ruoter' is not known"),
    "unknown-in-list": ('[[link]]\nsite = "a"\n\n[[link]]\nsite = "b"\nprice = 3\n', 6, "'price'"),
    "not-text": ("[router]\nlisten = 7671\n", 2, "listen 7671 is not text"),
    "not-a-list": ('[router]\nadvertise = "a:1"\n', 2, "advertise is not a list"),
    "not-a-table": ("router = 5\n", 1, "router is not a table"),
    "not-tables": ('[link]\nsite = "a"\n', 1, "link is not a list of tables"),
    "no-site": ("[[link]]\ncost = 3\n", 1, "has no site"),
    "bad-cost": ('[[link]]\nsite = "a"\ncost = 0\n', 3, "use a number from 1 to 65535"),
    "cost-is-text": ('[[link]]\nsite = "a"\ncost = "1"\n', 3, "use a number from 1 to 65535"),
    "cost-is-true": ('[[link]]\nsite = "a"\ncost = true\n', 3, "use a number from 1 to 65535"),
    "bad-name": ('[[link]]\nsite = "A B"\n', 2, "site name 'A B' is not valid"),
    "bad-address": ('[[connector]]\naddress = "db"\ntarget = "a:1"\n', 2, "use NAME:PORT"),
    "bad-target": ('[[connector]]\naddress = "a:1"\ntarget = "a..b:1"\n', 3, "use HOST:PORT"),
    "nul-in-target": ('[[connector]]\naddress = "a:1"\ntarget = "a\\u0000:1"\n', 3, "HOST:PORT"),
    "bad-protocol": ('[[listener]]\nprotocol = "tpc"\naddress = "a:1"\n', 2, "use tcp"),
    "no-target": ('[[connector]]\naddress = "a:1"\n', 1, "has no target"),
    "no-equals": ('[router]\n\nlisten "a:1"\n', 3, "not valid TOML"),
    "no-quote": ('[router]\nlisten = "a:1\n', 2, "not valid TOML"),
    "open-bracket": ('[router]\nadvertise = ["a:1"\n', 2, "not valid TOML"),
    "twice-a-key": ('[router]\nlisten = "a:1"\nlisten = "a:1"\n', 3, "not valid TOML"),
    "twice-a-table": ('[router]\n[router]\nlisten = "a:1"\n', 2, "not valid TOML"),
    "twice-a-link": ('[[link]]\nsite = "a"\n[[link]]\nsite = "a"\n', 3, "is there twice"),
    "deep": ("a = " + "[" * 20_000, 1, "nested too deep"),
    "binary": ("[router]\n# \udcff\n", 2, "is not UTF-8"),
    "windows": ("[router]\r\nlisten = 5\r\n", 2, "is not text"),
}


@pytest.mark.parametrize(("text", "line", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_the_configuration_is_told_with_its_line(tmp_path, text, line, message):
    file = tmp_path / "config.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    said = str(caught.value)
    assert said.startswith(f"{file}:{line}: ")
    assert message in said
    assert "\n" not in said


def test_a_mistake_in_the_configuration_is_told_by_van_up(machine):
    machine.run("init", "west", "--no-start")
    config = paths(machine, "west")[0] / "config.toml"
    config.write_text('[router]\nlisten = "a:1"\nlistne = "a:1"\n')
    said = refused(machine, "up")
    assert f"router of site 'west' did not start: {config}:3: key 'listne' is not known" in said


# -- state -----------------------------------------------------------------------------------------

DAMAGE = {
    "identity.toml": (b"", b"\xff\xfe\x00", b"garbage", b"version = 1\n", b"#" * 500_000),
    "tokens/0123456789abcdef.toml": (b"", b"\xff", b"id = 5\n", b'id = "other"\n'),
    "incarnation": (b"soon", b"\xff", b"1" * 100, b"\n"),
    "exposed.json": (b"[]", b"\xff", b'{"tcp db:1 h:1": "soon"}', b'{"tcp db:1 h:1": -1}'),
}
READERS: dict[str, Callable[[Path], object]] = {
    "identity.toml": Credentials.load,
    "tokens/0123456789abcdef.toml": lambda path: TokenLedger(path.parent),
    "incarnation": partial(advance_incarnation, latest=2**31),
    "exposed.json": Exposures.load,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_named_and_left_as_it_is(machine, name):
    machine.run("init", "west", "--no-start")
    file = paths(machine, "west")[1] / name
    file.parent.mkdir(exist_ok=True)
    for damage in DAMAGE[name]:
        file.write_bytes(damage)
        with pytest.raises(StorageError) as caught:
            READERS[name](file)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert file.read_bytes() == damage
    said = complaint(machine, "up")
    assert said == f"router of site 'west' did not start: {caught.value}"


def test_an_identity_with_parts_of_another_is_refused(machine):
    for site in ("west", "east"):
        machine.run("init", site, "--no-start")
    west, east = (paths(machine, site)[1] / "identity.toml" for site in ("west", "east"))
    ours = tomllib.loads(west.read_text())
    west.write_text(east.read_text())
    assert "belongs to site 'east'" in complaint(machine, "up", "--site", "west")
    west.write_text(tomli_w.dumps({**tomllib.loads(east.read_text()), "key": ours["key"]}))
    said = complaint(machine, "up", "--site", "west")
    assert f"file {west} is damaged" in said
    assert "PRIVATE" not in said


WRITER = """
import os, sys
from pathlib import Path
from van import files
step = sys.argv[2]
real = getattr(os, step)
def die(*arguments, **options):
    os._exit(9)
setattr(os, step, die)
files.write_atomic(Path(sys.argv[1]), b"new content" * 1000)
"""


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_process_that_dies_while_it_writes_leaves_the_old_content(tmp_path, step):
    file = tmp_path / "identity.toml"
    write_atomic(file, b"old content")
    done = subprocess.run([sys.executable, "-c", WRITER, str(file), step], check=False)
    assert done.returncode == 9
    assert file.read_bytes() == b"old content"


def test_what_a_dying_write_leaves_behind_disturbs_nobody(machine):
    machine.init("west")
    config, state = paths(machine, "west")
    machine.run("link", "create", str(machine.directory / "t.toml"))
    machine.run("down")
    for folder, name in (
        (config, "config.toml"),
        (state, "identity.toml"),
        (state, "incarnation"),
        *((state / "tokens", each.name) for each in list((state / "tokens").glob("*.toml"))),
    ):
        (folder / f".{name}.0badc0de").write_bytes(b"half of some")
    machine.run("up")
    assert machine.run("token", "list").stdout.count("valid") == 1


def test_a_router_that_was_killed_is_started_again_over_what_it_left(machine):
    machine.init("west")
    before = machine.status("west")["router"]["van"]
    for _ in range(2):
        machine.kill("west")
        assert (paths(machine, "west")[1] / "control.sock").exists()
        said = complaint(machine, "status")
        assert "is not running: start it with 'van up'" in said
        machine.run("up")
    assert machine.status("west")["router"]["van"] == before


def test_after_a_kill_there_is_what_was_acknowledged_and_what_a_person_wrote(machine):
    machine.init("west")
    config = paths(machine, "west")[0] / "config.toml"
    mine = "# Ana's database.\r\n[[connector]]\r\n\taddress='db:1'\r\n\ttarget = '1' # hers\r\n"
    config.write_text(mine, newline="")  # while the router runs, too
    machine.van("expose", "tcp", "web:2")
    machine.van("site", "drain")
    machine.kill("west")
    text = config.read_bytes().decode()
    assert text.startswith(mine)
    assert text.count("\n") == text.count("\r\n")
    exposed = (paths(machine, "west")[1] / "exposed.json").read_bytes()
    machine.van("up")
    there = load_config(config)
    assert {str(each.address) for each in there.connectors} == {"db:1", "web:2"}
    assert there.drained
    times = json.loads((paths(machine, "west")[1] / "exposed.json").read_bytes())
    assert times.items() > json.loads(exposed).items()
    machine.van("unexpose", "tcp", "web:2")
    added = text[text.index("[[connector]]", len(mine)) : text.index("[router]")]
    assert config.read_bytes().decode() == text.replace(added, "")


def test_a_file_in_the_place_of_the_control_socket_is_told(machine):
    machine.run("init", "west", "--no-start")
    sock = paths(machine, "west")[1] / "control.sock"
    sock.write_bytes(b"precious")
    assert str(sock) in complaint(machine, "up")
    assert sock.read_bytes() == b"precious"


# -- directories and disks -------------------------------------------------------------------------


def as_nobody() -> list[str]:
    if shutil.which("setpriv") is None or os.geteuid() != 0:
        pytest.skip("needs root and setpriv to become somebody else")
    return [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--",
    ]  # fmt: skip


def test_a_directory_that_is_not_ours_is_told(machine):
    inside = as_nobody()
    machine.directory.chmod(0o755)
    said = complaint(machine, "init", "west", inside=inside)
    assert "permission denied" in said
    assert str(machine.directory / "config") in said
    assert not files(machine)


def test_a_state_directory_that_has_become_read_only_is_told(machine):
    inside = as_nobody()
    machine.directory.chmod(0o755)
    for folder in ("config", "state"):
        (machine.directory / folder).mkdir()
        os.chown(machine.directory / folder, NOBODY, NOBODY)
    machine.van("init", "west", "--no-start", inside=inside)
    state = paths(machine, "west")[1]
    os.chown(state, 0, 0)
    state.chmod(0o755)
    before = files(machine)
    assert "permission denied" in complaint(machine, "up", inside=inside)
    state.chmod(0o700)
    said = complaint(machine, "up", "--site", "west", inside=inside)
    assert "permission denied" in said or "not set up here" in said
    assert files(machine) == before


def test_a_site_of_another_user_is_told(machine):
    machine.init("west")
    machine.directory.chmod(0o755)
    said = complaint(machine, "--site", "west", "status", inside=as_nobody())
    assert "permission denied" in said or "another user" in said or "not set up" in said


@contextlib.contextmanager
def no_more_files(pid: int) -> Iterator[None]:
    """Let a process write no byte to any file, as on a full disk."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_a_router_that_can_write_nothing_refuses_what_it_could_not_keep(machine):
    """And goes on: links, flows, and what was kept before are as they were."""
    machine.init("hub", "--listen", f"127.0.0.1:{free_port()}")
    machine.init("west")
    machine.link("west", "hub")
    machine.run("--site", "hub", "expose", "tcp", "kept:1", "--target", "127.0.0.1:9")
    token = machine.directory / "spare.toml"
    machine.run("--site", "hub", "link", "create", str(token), "--uses", "5")
    pids = machine.pids()
    with no_more_files(pids["hub"]), no_more_files(pids["west"]):
        for arguments in (
            ("expose", "tcp", "lost:1"),
            ("unexpose", "tcp", "kept:1"),
            ("bind", "tcp", "kept:1", "--listen", f"127.0.0.1:{free_port()}"),
            ("link", "create"),
            ("token", "revoke", token.read_text().partition('id = "')[2][:16]),
        ):
            assert "can't write" in refused(machine, "--site", "hub", *arguments)
        assert "can't write" in refused(machine, "--site", "west", "link", "cost", "hub", "7")
        # A neighbour's change counts at once, and a site is not let in by a use that is not kept.
        machine.run("--site", "hub", "link", "cost", "west", "9")
        wait_for(lambda: machine.status("west")["links"][0]["cost"] == 9, "the cost is taken over")
        machine.init("new")
        assert "can't write" in complaint(machine, "--site", "new", "link", "accept", str(token))
    assert machine.pids().items() >= pids.items()
    machine.run("--site", "new", "link", "accept", str(token))
    machine.run("--site", "hub", "expose", "tcp", "found:1", "--target", "127.0.0.1:9")
    assert [each["address"] for each in machine.status("hub")["connectors"]] == [
        "kept:1",
        "found:1",
    ]


FULL_DISK = """
set -e
mount -t tmpfs -o size=200k tmpfs "$XDG_STATE_HOME"
{van} init west
{van} status --json > "$OUT/before"
cat "$XDG_STATE_HOME"/van/west/identity.toml > "$OUT/identity"
dd if=/dev/zero of="$XDG_STATE_HOME"/fill bs=1k 2> /dev/null || true
{van} link create > "$OUT/minted" 2> "$OUT/refused" && exit 77
cmp "$XDG_STATE_HOME"/van/west/identity.toml "$OUT/identity"
{van} token list > "$OUT/tokens"
{van} down
{van} up 2> "$OUT/up" && exit 78
rm "$XDG_STATE_HOME"/fill
cmp "$XDG_STATE_HOME"/van/west/identity.toml "$OUT/identity"
{van} up
{van} link create > "$OUT/minted"
{van} down
"""


def test_a_full_disk_is_told_and_loses_nothing(machine, tmp_path):
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*inside, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)],
            check=False,
            capture_output=True,
        ).returncode
    ):
        pytest.skip("needs user namespaces in which to mount a small disk")
    (machine.directory / "state").mkdir()
    script = FULL_DISK.replace("{van}", f"{sys.executable} -m van")
    done = subprocess.run(
        [*inside, "sh", "-c", script],
        env={**machine.environment, "OUT": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr, done.stdout)
    for name in ("refused", "up"):
        said = (tmp_path / name).read_text()
        assert "no space left on device" in said
        assert said.startswith("van: ")
        assert said.count("\n") == 1
    assert "valid" not in (tmp_path / "tokens").read_text()


def test_a_path_too_long_for_a_socket_is_told_before_anything_is_made(machine):
    state = machine.directory / ("s" * 90)
    machine.environment["XDG_STATE_HOME"] = str(state)
    said = complaint(machine, "init", "west")
    assert "is too long for a unix socket: set XDG_STATE_HOME to a shorter one" in said
    assert not state.exists()
    assert not files(machine)


# -- ports -----------------------------------------------------------------------------------------


def test_a_link_port_that_is_taken_is_told_by_van_up(machine):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        machine.run("init", "west", "--listen", f"127.0.0.1:{port}", "--no-start")
        said = complaint(machine, "up")
        assert f"did not start: can't open port 127.0.0.1:{port}: address already in use" in said
        assert "choose another port" in said
    machine.run("up")
    assert standing(machine)


def test_a_second_router_of_a_site_is_told(machine):
    machine.init("west")
    said = complaint(machine, "router", "--site", "west", inside=["env"])
    pid = machine.pids()["west"]
    assert said == f"router of site 'west' is running already (pid {pid}): see 'van status'"


TAKEN_AWAY = """
from van.tls.native import AVAILABILITY
AVAILABILITY.give_up("SSL_read is gone")
from van.router.process import main
raise SystemExit(main())
"""


def test_a_release_without_the_quick_calls_of_openssl_is_told_in_one_line():
    with Fleet() as fleet:
        fleet.make("west", SiteConfig())
        fleet.launch("west", command=("-c", TAKEN_AWAY))
        fleet.wait_answer("west")
        told = fleet.paths("west").log_file.read_text().splitlines()
    (line,) = [each for each in told if "WARNING" in each]
    assert line.endswith("public calls, which cost more: SSL_read is gone")
