"""Modules, packages, classes, and functions that the documentation names are in the tree."""

import ast
import re
import tomllib
from collections import defaultdict
from functools import cache

import pytest

from tests.docs.pages import CURRENT, ROOT, blocks_of, name_of, rows_under, spans_of

CODE = ("van", "lab", "tests", "benchmarks")
MODULES = [path for folder in CODE for path in ROOT.glob(f"{folder}/**/*.py")]
PAGES_ABOUT_CODE = [ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]

NOT_CODE = {"Connection"}
"""Words in backticks that look like a class and are something else."""
ROOMS_HEADER = "| room | what it is for, and what it leaves to others |"
WITHIN = {"van/cli/commands", "van/cli/demo", "van/cli/render", "van/control/values"}
"""Packages that the page tells of with the one that they are in."""


@cache
def names_in(module):
    """Return what a module defines: `Class`, `Class.method`, `function`, `CONSTANT`."""
    found = set()
    for node in ast.parse(text_of(module)).body:
        match node:
            case ast.ClassDef():
                found |= {node.name, *(f"{node.name}.{each}" for each in members_of(node))}
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.add(node.name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return frozenset(found)


def members_of(node):
    for each in node.body:
        match each:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                yield name


@cache
def text_of(module):
    return module.read_text()


@cache
def modules_by_word():
    """Return which modules have a line that begins with a word, or with `class` and the word."""
    found = defaultdict(set)
    for module in MODULES:
        for word in re.findall(r"^(?:class )?(\w+)", text_of(module), re.MULTILINE):
            found[word].add(module)
    return found


def is_there(name):
    """Tell whether a module defines this; only those are parsed that look like it."""
    looked_at = modules_by_word().get(name.partition(".")[0], ())
    return any(name in names_in(module) for module in looked_at)


@cache
def modules_by_end():
    """Return which modules have a path that ends like this: `c.py`, `b/c.py`, `a/b/c.py`."""
    found = defaultdict(list)
    for module in MODULES:
        parts = name_of(module).split("/")
        for start in range(len(parts)):
            found["/".join(parts[start:])].append(module)
    return found


def misnamed(span):
    """Say what is wrong with a span of code that names code, or nothing."""
    if match := re.fullmatch(r"([\w/]+\.py)(?::([\w.]+))?", span):
        path, name = match.groups()
        found = modules_by_end().get(path, ())
        if len(found) != 1:
            return f"{span}: {len(found)} modules are called {path}"
        if name and name not in names_in(found[0]):
            return f"{span}: not in {name_of(found[0])}"
    elif re.fullmatch(rf"(?:{'|'.join(CODE)})(?:/[\w]+)*/?", span) and "/" in span:
        if not (ROOT / span).is_dir():
            return f"{span}: no such folder"
    elif re.fullmatch(r"(?:van|benchmarks|lab)(?:\.[a-z_]+)+", span):
        path = ROOT / span.replace(".", "/")
        if path.is_dir() or path.with_suffix(".py").exists():
            return None
        module = path.parent.with_suffix(".py")
        if not module.exists() or path.name not in names_in(module):
            return f"{span}: no such module"
    return None


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_code_that_is_named_is_there(page):
    spans = dict.fromkeys(spans_of(page.read_text()))
    wrong = [each for span in spans if (each := misnamed(span))]
    assert not wrong, "\n".join(wrong)


def test_every_room_is_in_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = {row[0].strip("`") for row in rows_under(text, ROOMS_HEADER)}
    packages = {name_of(path.parent) for path in ROOT.glob("van/**/__init__.py")}
    cut = {each for each in packages if any(other.startswith(f"{each}/") for other in packages)}
    assert named - {"lab"} == (packages - cut - WITHIN) | {"van/cli", "van/control"}


def test_the_picture_of_the_router_has_its_layers_in_order():
    blocks = blocks_of((ROOT / "docs" / "architecture.md").read_text())
    (picture,) = ["\n".join(block) for block in blocks if "process ─ daemon" in "\n".join(block)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = [each["layers"] for each in contracts if each.get("containers") == ["van.router"]]
    named = re.findall(r"(?:^ +|[│─] )([a-z_]+)(?= )", picture, re.MULTILINE)
    wanted = [name for layer in layers for name in layer.split(" | ")]
    assert [name for name in named if name in wanted] == wanted


@pytest.mark.parametrize("page", PAGES_ABOUT_CODE, ids=name_of)
def test_classes_that_are_named_are_there(page):
    spans = dict.fromkeys(spans_of(page.read_text()))
    named = [span for span in spans if re.fullmatch(r"(?:[A-Z][a-z]+){1,}(?:\.\w+)?", span)]
    wrong = [span for span in named if span not in NOT_CODE and not is_there(span)]
    assert not wrong, "\n".join(wrong)
