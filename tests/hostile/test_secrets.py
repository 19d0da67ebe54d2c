"""Keys and tokens are in their files, for their owner only, and nowhere else."""

import os
import stat
from pathlib import Path

from lab.processes import Lab, lab
from tests.hostile.commands import complaint, mint
from van.tls.credentials import Credentials
from van.tls.tokens import decode_token


def key_lines(*texts: str) -> set[str]:
    """Return the lines that make up the private keys in some texts."""
    found: set[str] = set()
    for text in texts:
        is_key = False
        for line in text.splitlines():
            if "-----" in line:
                is_key = "BEGIN PRIVATE KEY" in line
            elif is_key:
                found.add(line)
    assert found
    return found


def everything(machine: Lab, site: str) -> str:
    """Return all that a site's commands print."""
    said = []
    for arguments in (
        ("status",),
        ("status", "--json"),
        ("link", "list"),
        ("token", "list", "--json"),
        ("site", "list"),
    ):
        at = () if arguments[0] == "site" else ("--site", site)
        said.append(machine.run(*at, *arguments).stdout)
    return "\n".join(said)


def test_secrets_are_in_their_files_only_and_those_are_private():
    with lab() as machine:
        machine.three_sites()
        token = mint(machine, "hub", "secret")
        machine.init("new")
        machine.run("--site", "new", "link", "accept", str(token))
        complaint(machine, "--site", "west", "link", "accept", str(token))
        state = machine.directory / "state" / "van"
        identities = [path.read_text() for path in state.glob("*/identity.toml")]
        assert len(identities) == 4
        secrets = key_lines(token.read_text(), *identities)

        pids = machine.pids().values()
        told = [everything(machine, site) for site in machine.pids()]
        told += [path.read_text() for path in state.glob("*/router.log")]
        told += [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
        told += [Path(f"/proc/{pid}/environ").read_text() for pid in pids]
        told += [path.read_text() for path in state.glob("*/tokens/*")]
        told += [path.read_text() for path in (machine.directory / "config").rglob("*.toml")]
        for pid in pids:  # what TLS is given its key by is closed again
            names = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
            assert "van-key" not in "".join(names)
        for secret in secrets:
            assert not any(secret in each for each in told)

        modes = {}
        for folder in ("config", "state"):
            for path in (machine.directory / folder / "van").rglob("*"):
                modes[path] = stat.S_IMODE(path.stat().st_mode)
        for path, mode in modes.items():
            assert mode == (0o700 if path.is_dir() else 0o600), (path, oct(mode))
        assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_a_token_replaces_a_public_file_by_a_private_one():
    with lab() as machine:
        machine.init("west")
        path = machine.directory / "west-token.toml"
        path.write_text("old")
        path.chmod(0o666)
        machine.run("link", "create", str(path), "--force")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_careless_umask_changes_nothing():
    with lab() as machine:
        before = os.umask(0)
        try:
            machine.init("west")
            machine.run("link", "create", str(machine.directory / "t.toml"))
        finally:
            os.umask(before)
        for path in (machine.directory / "state" / "van" / "west").rglob("*"):
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
        assert stat.S_IMODE((machine.directory / "t.toml").stat().st_mode) == 0o600


def test_nothing_shows_its_key():

    with lab() as machine:
        machine.init("west")
        token = decode_token(mint(machine, "west", "t").read_text())
        file = machine.directory / "state" / "van" / "west" / "identity.toml"
        credentials = Credentials.load(file)
        numbers = [
            str(key.private_numbers().private_value)
            for key in (token.key, credentials.key, credentials.authority.key)
        ]
        for value in (token, credentials, credentials.authority, credentials.identity):
            for shown in (repr(value), str(value), f"{value!r}"):
                assert "PRIVATE" not in shown
                assert not any(number in shown for number in numbers)
                assert "\n" not in shown


def test_a_damaged_key_is_not_quoted_in_the_complaint():
    with lab() as machine:
        machine.run("init", "west", "--no-start")
        file = machine.directory / "state" / "van" / "west" / "identity.toml"
        good = file.read_text()
        line = min(key_lines(good))
        for bad in (good.replace(line, line[:-5] + "@"), good.replace(line, "'" + line)):
            file.write_text(bad)
            assert line[5:25] not in complaint(machine, "up")
