"""The README's commands, as they stand there, do what it says."""

import re
import shlex
import sys

import pytest

from lab.ports import free_port
from lab.processes import Lab, answers, wait_for
from tests.docs.pages import ROOT, blocks_of
from tests.end_to_end.programs import need, run


def shown_commands() -> list[tuple[str, str]]:
    """Return what is typed at each site, in order, from the section that says how to use it.

    Every port is another one here, for the usual ones may be taken.
    """
    section = (ROOT / "README.md").read_text().partition("\n## Use it\n")[2].partition("\n## ")[0]
    ports: dict[str, str] = {}
    found = []
    for line in (line for block in blocks_of(section) for line in block):
        if typed := re.fullmatch(r"([a-z]+)\$ +(.+)", line):
            command = re.sub(
                r"\b\d{4,5}\b",
                lambda number: ports.setdefault(number[0], str(free_port())),
                typed[2],
            )
            found.append((typed[1], command))
    return found


def type_in(lab: Lab, site: str, command: str) -> str:
    """Type a command of the README in at a site; return what it printed."""
    words = shlex.split(command.removesuffix("&"), comments=True)
    words = [str(lab.directory / each) if each.endswith(".toml") else each for each in words]
    if words[0] == "van":
        named = () if words[1] == "init" else ("--site", site)
        return lab.van(*named, *words[1:]).stdout
    if words[0] == "python3":
        lab.start(sys.executable, *words[1:], cwd=lab.directory / "pages")
        wait_for(lambda: answers(int(words[3])), "the web server answers")
        return ""
    return run(need(words[0]), "-sSf", *words[1:])


@pytest.mark.slow("starts three routers, and types twenty commands in, one after the other")
def test_what_the_readme_shows_works(lab: Lab) -> None:
    (lab.directory / "pages").mkdir()
    (lab.directory / "pages" / "index.html").write_text("Hello.")
    said = {}
    for site, command in shown_commands():
        if command.startswith("curl"):
            (address,) = {each["address"] for each in lab.status(site)["listeners"]}
            lab.wait_reachable(address, at=site)
        said[command.partition("#")[0].strip()] = type_in(lab, site, command)
    assert {"Hello."} == {text for command, text in said.items() if command.startswith("curl")}
    (explained,) = [text for command, text in said.items() if command.startswith("van explain")]
    assert re.search(r"^ *edge .*chosen|^ *dbhost .*chosen", explained, re.MULTILINE)
    status = said["van status"]
    assert re.search(r"^ *dns:53 +udp +dbhost +laptop$", status, re.MULTILINE)
    assert re.search(r"^ *metrics:\d+ +udp +dbhost, edge +laptop$", status, re.MULTILINE)
    (checked,) = [text for command, text in said.items() if command.startswith("van policy")]
    assert re.search(r"^ *dbhost +tcp +yes", checked, re.MULTILINE)
    assert re.search(r"^ *edge +the root", said["van authority show"], re.MULTILINE)
    assert "site 'laptop' is expelled" in said["van site expel laptop --yes"]
