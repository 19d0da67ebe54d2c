"""Messages that the troubleshooting page explains are messages of the code."""

import ast
import re

import pytest

from tests.docs.pages import ROOT
from van.routing.database.admission import Cause

TEXT = (ROOT / "docs" / "troubleshooting.md").read_text()
HOLE = "…"
"""What stands in a message for what differs."""


def first_cells(noun):
    """Return the first cell of each row of the tables with this heading."""
    rows = [line.split(" | ") for line in TEXT.splitlines() if line.startswith("| ")]
    tables = "\n".join(row[0].removeprefix("| ") for row in rows)
    parts = re.split(r"^(message|counter)$", tables, flags=re.MULTILINE)
    found = zip(parts[1::2], parts[2::2], strict=True)
    return [
        cell for kind, cells in found if kind == noun for cell in cells.split("\n") if "`" in cell
    ]


def template(node):
    """Return a text in the code with holes for what is filled in, as a reader sees it."""
    if isinstance(node, ast.Constant):
        return re.sub("%[srd]", HOLE, node.value) if isinstance(node.value, str) else ""
    parts = []
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(str(value.value))
        else:
            parts.append(f"'{HOLE}'" if value.conversion == ord("r") else HOLE)
    return "".join(parts)


def templates():
    """Return all texts of the code, without docstrings."""
    found = set()
    for path in ROOT.glob("van/**/*.py"):
        tree = ast.parse(path.read_text())
        documents = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in documents:
                found.add(template(node))
    return found


MESSAGES = [cell.strip().strip("`") for cell in first_cells("message")]
TEMPLATES = templates()


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_is_explained_is_one_of_the_code(message):
    assert any(message in each for each in TEMPLATES)


def test_there_are_messages_to_look_at():
    assert len(MESSAGES) > 50


def test_causes_that_are_counted_are_those_of_the_code():
    words = TEXT.partition("\n## Counters\n")[2]
    told = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", words))
    assert told <= {each.value for each in Cause} | TEMPLATES
