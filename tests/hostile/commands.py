"""Commands that must be refused: one line that says what to do, and nothing changed."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.processes import Lab
from van.cli.client import UnixConnection


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
    done = subprocess.run(
        [*inside, sys.executable, "-m", "van", *arguments],
        env=machine.environment,
        input=stdin,
        capture_output=True,
        timeout=30,
        check=False,
    )
    out, err = done.stdout, done.stderr
    assert done.returncode == code, (out, err)
    if code == 2:
        assert b"Usage: " in err
        return err.decode()
    assert not out
    lines = err.decode().splitlines()
    assert len(lines) == 1, err.decode()
    assert lines[0].startswith("van: ")
    assert "Traceback" not in lines[0]
    return lines[0].removeprefix("van: ")


def mint(machine: Lab, site: str, name: str, *options: str) -> Path:
    """Mint a token and return its file."""
    path = machine.directory / f"{name}.toml"
    machine.van("--site", site, "link", "create", str(path), "--force", *options)
    return path


def tokens(machine: Lab, site: str) -> dict[str, str]:
    """Return the state of each token that a site minted."""
    listed = json.loads(machine.van("--site", site, "token", "list", "--json").stdout)
    return {each["id"]: each["state"] for each in listed}
