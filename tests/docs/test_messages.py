"""Messages that the troubleshooting page explains are messages of the code."""

import ast
import re
from functools import cache

from tests.docs.pages import ROOT

TEXT = (ROOT / "docs" / "troubleshooting.md").read_text()
HOLE = "…"
"""What stands in a message for what differs."""
MODULES = [*ROOT.glob("van/**/*.py")]


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


@cache
def templates():
    """Return all texts of the code, without docstrings."""
    found = set()
    for path in MODULES:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        documents = {
            id(node.value)
            for node in nodes
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        found |= {
            template(node)
            for node in nodes
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in documents
        }
    return found


MESSAGES = [cell.strip().strip("`") for cell in first_cells("message")]


def test_messages_that_are_explained_are_those_of_the_code():
    unknown = [each for each in MESSAGES if not any(each in text for text in templates())]
    assert not unknown, "\n".join(unknown)


def test_there_are_messages_to_look_at():
    assert len(MESSAGES) > 50


def test_causes_that_are_counted_are_those_of_the_code():
    words = TEXT.partition("\n## Counters\n")[2]
    told = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", words))
    code = "".join(path.read_text() for path in MODULES)
    assert [each for each in sorted(told) if f'"{each}"' not in code] == []
