"""A whole network of an ordinary user: no capability, and no route but through van."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.processes import is_running
from tests.end_to_end.namespaces import PAGE, ROOT
from tests.end_to_end.programs import as_ordinary_user, need

pytestmark = pytest.mark.slow("three networks, with sites as processes")

STORY = (sys.executable, "-m", "tests.end_to_end.namespaces")
END_TIMEOUT = 30.0


def own_namespaces() -> list[str]:
    """Return what makes a command root of its own user and network namespace, and of no more."""
    for program in ("nsenter", "ip", "curl", "setpriv"):
        need(program)
    inner = [*as_ordinary_user(), need("unshare"), "--user", "--map-root-user", "--net", "--"]
    if os.geteuid() != 0:
        return inner
    return [need("unshare"), "--mount", "--", *STORY, "open", *inner]


@pytest.fixture(scope="module")
def findings() -> Iterator[dict[str, Any]]:
    """What the story found, while its routers still run."""
    prefix = own_namespaces()
    probe = subprocess.run(
        [*prefix, "ip", "link", "add", "wire", "type", "veth"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if probe.returncode != 0:
        pytest.skip(f"an ordinary user can't make namespaces here: {probe.stderr.strip()}")
    with subprocess.Popen(
        [*prefix, *STORY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as story:
        assert story.stdout is not None
        line = story.stdout.readline()
        found: dict[str, Any] = json.loads(line) if line else {}
        if found:
            yield found
        _, complaints = story.communicate(timeout=END_TIMEOUT)
    assert found, f"the story ended early: {complaints}"
    assert story.returncode == 0, complaints
    assert not any(map(is_running, found["routers"].values())), "routers outlived the story"


def read_status(pid: int) -> dict[str, str]:
    """Return what the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_programs_on_networks_that_do_not_meet_reach_each_other(findings: dict[str, Any]) -> None:
    assert findings["page"] == [0, PAGE]


def test_there_is_no_way_between_these_networks_but_van(findings: dict[str, Any]) -> None:
    # The server is not to blame: where there is a wire, it answers at this very address.
    assert findings["page at the hub's end of the wire"] == [0, PAGE]
    assert findings["page without van"][0] != 0
    code, said = findings["route"]
    assert code != 0
    assert "unreachable" in said


def test_routers_have_no_capability_and_are_not_root(findings: dict[str, Any]) -> None:
    assert sorted(findings["routers"]) == ["east", "hub", "west"]
    for site, pid in findings["routers"].items():
        status = read_status(pid)
        for capabilities in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
            assert int(status[capabilities], 16) == 0, (site, capabilities)
        assert status["NoNewPrivs"] == "1", site
        # Seen from outside: within its namespace the user is called root.
        assert "0" not in status["Uid"].split(), site


def test_each_router_has_a_network_of_its_own(findings: dict[str, Any]) -> None:
    pids = [os.getpid(), *findings["routers"].values()]
    assert len({Path(f"/proc/{pid}/ns/net").readlink() for pid in pids}) == len(pids)
