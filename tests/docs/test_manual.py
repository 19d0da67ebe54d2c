"""The manual page and the files of completion are those that the commands make."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.manual import SHARE, escape, files, write_manual
from tests.docs.pages import ROOT
from tests.docs.test_project import PROJECT
from van.cli.main import PROGRAM

MANUAL = SHARE / "man" / "man1" / "van.1"
FILES = files()


@pytest.mark.parametrize("place", FILES, ids=str)
def test_what_is_installed_is_what_the_commands_make(place):
    assert (SHARE / place).read_text() == FILES[place], "run 'make docs'"


def test_nothing_else_is_installed():
    assert {path.relative_to(SHARE) for path in SHARE.rglob("*") if path.is_file()} == set(FILES)


def commands(group, *words):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *words, name)
        else:
            yield (*words, name), command


def sections():
    """Return the text of the page under each command."""
    plain = re.sub(r"\\f.", "", write_manual()).replace(r"\-", "-").partition(".SH EXAMPLES")[0]
    parts = re.split(r"^\.SS van ([a-z -]+[a-z])", plain, flags=re.MULTILINE)
    return dict(zip((tuple(each.split()) for each in parts[1::2]), parts[2::2], strict=True))


def test_every_command_and_each_of_its_options_is_in_the_page():
    found = sections()
    expected = dict(commands(PROGRAM))
    assert found.keys() == expected.keys()
    for words, command in expected.items():
        options = {each for param in command.params for each in param.opts if each[0] == "-"}
        named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", found[words]))
        assert options - {"--site", "-s"} <= named, words


def test_what_roff_would_take_for_a_command_is_text():
    assert escape(".SH x\n'y \\fB--z") == "\\&.SH x 'y \\efB\\-\\-z\n"


@pytest.mark.process
def test_the_page_is_shown_without_a_warning():
    if shutil.which("groff") is None:
        pytest.skip("there is no groff here")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", "-Tutf8", str(MANUAL)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


@pytest.mark.process
def test_bash_completes_with_the_file(tmp_path):
    command = tmp_path / "van"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m van "$@"\n')
    command.chmod(0o755)
    script = f"""
        source {SHARE / "bash-completion/completions/van"}
        COMP_WORDS=({command} ex); COMP_CWORD=1
        _van_completion {command}
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert sorted(done.stdout.split()) == ["explain", "expose"]


def test_the_wheel_installs_them_and_the_source_has_all_that_is_checked():
    targets = PROJECT["tool"]["hatch"]["build"]["targets"]
    assert targets["wheel"]["shared-data"] == {"share": "share"}
    assert Path("van/py.typed").exists()
    tools = PROJECT["tool"]
    checked = {*tools["mypy"]["files"], *tools["pytest"]["ini_options"]["testpaths"]}
    pages = {path.name for path in ROOT.glob("*.md")}
    wanted = {f"/{name}" for name in checked | pages | {"docs", "share", "Makefile", ".ci"}}
    assert wanted == set(targets["sdist"]["include"])
