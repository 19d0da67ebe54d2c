"""What the documentation says of the project's tools, packages, and limits is so."""

import importlib
import re
import tomllib

import pytest

from tests.docs.pages import CURRENT, ROOT, blocks_of, name_of, rows_under, spans_of
from van.paths import SitePaths
from van.router.reactor.limits import Limits

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def distributions(requirements):
    return {re.split(r"[^\w-]", each)[0].lower() for each in requirements}


def documented(title):
    """Return the packages in the table under a title of the page on dependencies."""
    page = (ROOT / "docs" / "dependencies.md").read_text()
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    names = {name.lower() for row in rows for name in row.split(", ")}
    return names - {"package", "---"}


def test_dependencies_are_those_that_the_page_gives_reasons_for():
    assert documented("At run time") == distributions(PROJECT["project"]["dependencies"])


def test_tools_are_those_that_the_page_names():
    extras = PROJECT["project"]["optional-dependencies"].values()
    needed = [*PROJECT["build-system"]["requires"], *(each for extra in extras for each in extra)]
    assert documented("To develop") == distributions(needed)


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_make_targets_that_are_named_are_there(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    lines = [line for block in blocks_of(text) for line in block] + spans_of(text)
    named = {target for line in lines for target in re.findall(r"^make ([a-z-]+)", line)}
    assert sorted(named - targets) == []


def value_of(place):
    """Return what a field of `Limits`, or a constant of a module, is."""
    if place.startswith("Limits."):
        return getattr(Limits(), place.removeprefix("Limits."))
    path, _, name = place.partition(":")
    (module,) = ROOT.glob(f"van/**/{path}")
    dotted = module.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    return getattr(importlib.import_module(dotted), name)


def test_limits_are_those_of_the_code():
    rows = rows_under((ROOT / "docs" / "architecture.md").read_text(), "| what | at most | where |")
    assert len(rows) > 10
    for _, told, places in rows:
        values = [value_of(place) for place in re.findall(r"`([^`]+)`", places)]
        assert told == " · ".join(f"{value:,.0f}" for value in values), places


def test_files_of_a_site_are_those_of_the_code(tmp_path):
    paths = SitePaths(tmp_path, tmp_path)
    properties = [name for name, each in vars(SitePaths).items() if isinstance(each, property)]
    names = {getattr(paths, name).name for name in properties}
    rows = rows_under(
        (ROOT / "docs" / "architecture.md").read_text(), "| file | content | written |"
    )
    told = {path.strip("`") for row in rows for path in row[0].split(", ")}
    assert {re.split(r"/SITE/|…/", path)[1].partition("/")[0] for path in told} == names
