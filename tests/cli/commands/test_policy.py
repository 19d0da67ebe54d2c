"""What the VAN allows is set, shown, and asked about; what is wrong is told with its line."""

import json

import pytest

pytestmark = pytest.mark.process

RULES = '[[rule]]\naction = "allow"\nfrom = ["tag:prod"]\nto = ["db:5432"]\n'


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


def test_rules_are_set_shown_and_asked_about(van, running, file):
    assert van("policy", "show").stdout == "# the VAN is open\n# no rules\n"
    done = van("policy", "set", str(file))
    assert done.stdout == "rules are set: version 1\n"
    assert done.stderr == "warning: line 1: 'tag:prod' means no site that is known here\n"
    assert van("policy", "set", str(file)).stdout == "rules are set already\n"
    assert van("policy", "closed").stdout == "the VAN is closed: version 2\n"
    minted = van("link", "create")
    assert "may expose anything; bind anything; and not invite others" in minted.stderr
    assert "note: the VAN is closed: of what it binds it reaches only what a rule" in minted.stderr
    shown = van("policy", "show").stdout
    assert shown.startswith("# the VAN is closed, version 2, by the root on 2")
    assert shown.endswith(RULES)
    file.write_text(shown)  # what is shown can be set again
    assert van("policy", "set", str(file)).returncode == 0
    found = json.loads(van("policy", "show", "--json").stdout)
    assert (found["is_closed"], found["version"]) == (True, 3)
    assert found["rules"] == ["line 2: allow tag:prod to db:5432"]
    checked = van("policy", "check", "laptop", "db:5432")
    assert checked.returncode == 1
    assert "laptop: not known here, so that its tags do not count" in checked.stdout
    assert "no       the VAN is closed, and no rule or list is for this site" in checked.stdout
    assert "site 'laptop' may not reach db:5432" in checked.stderr
    assert van("policy", "open").stdout == "the VAN is open: version 4\n"
    assert "the VAN is closed" not in van("link", "create").stderr
    checked = van("policy", "check", "west", "web:80", "--json")
    assert checked.returncode == 0
    (verdict,) = json.loads(checked.stdout)["verdicts"]
    assert (verdict["is_allowed"], verdict["reason"]) == (True, "the VAN is open")


def test_what_is_wrong_with_a_file_is_told_with_its_line(van, running, file, tmp_path):
    file.write_text(f"{RULES}[[rule]]\naction = 'drop'\n")
    done = van("policy", "set", str(file))
    assert done.returncode == 1
    assert f"{file}:6: action: 'drop' is not known: use allow or deny" in done.stderr
    file.write_bytes(b"\xff")
    assert f"{file}:1: byte 0xff is not UTF-8" in van("policy", "set", str(file)).stderr
    missing = van("policy", "set", str(tmp_path / "none.toml"))
    assert "none.toml is not there" in missing.stderr
    assert van("policy", "show").stdout == "# the VAN is open\n# no rules\n"
