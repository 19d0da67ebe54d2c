"""Commands that must be refused: one line that says what to do, and nothing changed."""

import json
from collections.abc import Sequence
from pathlib import Path

from lab.processes import Lab

WRITTEN_ALL_THE_SAME = {"router.log", "lock", "audit", "audit.1", "audit.head", "names"}
"""Logs, of what was refused as well, and the names that were seen, which follow in a moment."""


def files(machine: Lab) -> dict[str, bytes]:
    """Return all that the sites of a lab have on disk, but for what tells of what happened."""
    return {
        str(path.relative_to(machine.directory)): path.read_bytes()
        for folder in ("config", "state")
        for path in sorted((machine.directory / folder).rglob("*"))
        if path.is_file() and path.name not in WRITTEN_ALL_THE_SAME
    }


def standing(machine: Lab) -> dict[str, object]:
    """Return what stays the same in the status of all sites while nobody changes anything."""
    found: dict[str, object] = {}
    for site in machine.pids():
        status = machine.status(site)
        found[site] = (
            [status["router"][key] for key in ("site", "van", "pid", "listen", "identity")],
            sorted(each["neighbor"] for each in status["links"]),
            sorted((each["neighbor"], each["cost"]) for each in status["links"]),
            [(each["address"], each["target"]) for each in status["connectors"]],
            [(each["address"], each["listen"]) for each in status["listeners"]],
        )
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
        done = machine.van(*arguments, check=False, inside=inside)
    else:
        done = machine.run(*arguments, check=False, stdin=stdin or b"")
    err = done.stderr
    assert done.returncode == code, (done.stdout, err)
    if "Usage: " in err:
        assert code == 2
        return err
    assert not done.stdout
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("van: ")
    assert "Traceback" not in lines[0]
    return lines[0].removeprefix("van: ")


def mint(machine: Lab, site: str, name: str, *options: str) -> Path:
    """Mint a token and return its file."""
    path = machine.directory / f"{name}.toml"
    machine.run("--site", site, "link", "create", str(path), "--force", *options)
    return path


def tokens(machine: Lab, site: str) -> dict[str, str]:
    """Return the state of each token that a site minted."""
    listed = json.loads(machine.run("--site", site, "token", "list", "--json").stdout)
    return {each["id"]: each["state"] for each in listed}
