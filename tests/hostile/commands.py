"""Commands that must be refused: one line that says what to do, and nothing changed."""

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.processes import Lab
from van.cli.main import main
from van.control.client import UnixConnection


def files(machine: Lab) -> dict[str, bytes]:
    """Return all that the sites of a lab have on disk, but for logs."""
    return {
        str(path.relative_to(machine.directory)): path.read_bytes()
        for folder in ("config", "state")
        for path in sorted((machine.directory / folder).rglob("*"))
        if path.is_file() and path.name not in {"router.log", "lock"}
    }


def standing(machine: Lab) -> dict[str, object]:
    """Return what stays the same in the status of all sites while nobody changes anything."""
    found: dict[str, object] = {}
    for site in machine.pids():
        status = status_of(machine, site)
        found[site] = (
            [status["router"][key] for key in ("site", "van", "pid", "listen", "identity")],
            sorted(each["neighbor"] for each in status["links"]),
            sorted((each["neighbor"], each["cost"]) for each in status["links"]),
            [(each["address"], each["target"]) for each in status["connectors"]],
            [(each["address"], each["listen"]) for each in status["listeners"]],
        )
    return found


def status_of(machine: Lab, site: str) -> dict[str, Any]:
    """Return a site's status without the cost of a command."""
    path = machine.directory / "state" / "van" / site / "control.sock"
    connection = UnixConnection(path, timeout=10)
    connection.request("GET", "/v1/status")
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def refused(machine: Lab, *arguments: str, code: int = 1, stdin: bytes | None = None) -> str:
    """Run a command that must be refused, and return what it says."""
    before = files(machine), standing(machine)
    said = complaint(machine, *arguments, code=code, stdin=stdin)
    assert (files(machine), standing(machine)) == before
    return said


def complaint(
    machine: Lab,
    *arguments: str,
    code: int = 1,
    stdin: bytes | None = None,
    inside: Sequence[str] = (),
) -> str:
    """Run a command that must fail, and return the one line that it says."""
    if inside:
        status, out, err = run_apart(machine, arguments, inside)
    else:
        status, out, err = run_here(machine, arguments, stdin or b"")
    assert status == code, (out, err)
    if code == 2:
        assert "Usage: " in err
        return err
    assert not out
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("van: ")
    assert "Traceback" not in lines[0]
    return lines[0].removeprefix("van: ")


def run_here(machine: Lab, arguments: Sequence[str], stdin: bytes) -> tuple[object, str, str]:
    """Run a command in this process, which takes a tenth of the time of one of its own."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, machine.environment[name])
        patch.delenv("VAN_SITE", raising=False)
        patch.setattr(sys, "argv", ["van", *arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
                status: object = 0
            except SystemExit as exc:
                status = exc.code
    return status, read_back(out), read_back(err)


def read_back(stream: io.TextIOWrapper) -> str:
    """Return what was written to a stream."""
    stream.flush()
    stream.seek(0)
    return stream.read()


def run_apart(
    machine: Lab, arguments: Sequence[str], inside: Sequence[str]
) -> tuple[object, str, str]:
    """Run a command inside another one, such as `setpriv` or `env`."""
    done = machine.van(*arguments, check=False, inside=inside)
    return done.returncode, done.stdout, done.stderr


def mint(machine: Lab, site: str, name: str, *options: str) -> Path:
    """Mint a token and return its file."""
    path = machine.directory / f"{name}.toml"
    arguments = ("--site", site, "link", "create", str(path), "--force", *options)
    status, _, said = run_here(machine, arguments, b"")
    assert status == 0, said
    return path


def tokens(machine: Lab, site: str) -> dict[str, str]:
    """Return the state of each token that a site minted."""
    _, said, _ = run_here(machine, ("--site", site, "token", "list", "--json"), b"")
    listed = json.loads(said)
    return {each["id"]: each["state"] for each in listed}
