"""What the shell offers, asked as typer's completion scripts ask."""

import os

import pytest

from lab.ports import free_port
from lab.servers import naming_server


def offered(van, *words):
    line = " ".join(["van", *words])
    environment = {
        **os.environ,
        "_VAN_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
    }
    return van(env=environment).stdout.split()


def test_commands_are_offered(van):
    assert {"expose", "unexpose"} <= set(offered(van, ""))


def test_sites_are_offered(van, site):
    van("init", "east", "--no-start")
    assert offered(van, "status", "--site", "") == ["east", "west"]
    assert offered(van, "site", "delete", "w") == ["west"]


def test_protocols_are_offered(van):
    assert offered(van, "expose", "") == ["http", "tcp", "udp"]


def test_the_cost_that_is_a_word_is_offered(van):
    assert offered(van, "link", "cost", "hub", "a") == ["auto"]
    assert offered(van, "link", "create", "--cost", "a") == ["auto"]


def test_a_router_that_is_down_offers_nothing(van, site):
    assert offered(van, "link", "delete", "") == []
    assert offered(van, "unexpose", "tcp", "") == []
    assert offered(van, "token", "revoke", "") == []
    assert offered(van, "trace", "") == []


@pytest.mark.process
def test_a_router_that_runs_offers_what_it_knows(van, running):
    with naming_server("db") as target:
        assert van("expose", "tcp", "db:5432", "--target", str(target)).returncode == 0
    assert van("bind", "tcp", "web:8080", "--listen", str(free_port())).returncode == 0
    token = van("link", "create").stderr.split()[1]
    assert offered(van, "unexpose", "tcp", "") == ["db:5432"]
    assert offered(van, "unbind", "tcp", "w") == ["web:8080"]
    assert {"db:5432", "web:8080"} == set(offered(van, "bind", "tcp", ""))
    assert offered(van, "trace", "") == ["db:5432", "west"]
    assert offered(van, "network", "--from", "w") == ["west"]
    assert van("site", "forget", "gone", "--key", "5" * 64, "--yes").returncode == 0
    for verb in ("show", "expel", "forget"):
        assert offered(van, "site", verb, "") == ["gone", "west"]
    assert offered(van, "link", "create", "--for", "lap-*,g") == ["lap-*,gone"]
    assert offered(van, "token", "revoke", "") == [token]
    van("token", "revoke", token)
    assert offered(van, "token", "revoke", "") == []
