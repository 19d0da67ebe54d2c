"""The control API's documentation and its values say the same."""

import re
from pathlib import Path

import msgspec
import pytest

from van.control import values as api
from van.router.telemetry.events import EventKind

DOCUMENT = Path(__file__).parents[2] / "docs" / "control-api.md"
VALUES = [value for value in vars(api).values() if isinstance(value, type)]
VALUES = [value for value in VALUES if issubclass(value, api.Value) and value is not api.Value]


def documented():
    """Map each value in the document to its fields."""
    found = {}
    for section in DOCUMENT.read_text().split("\n### ")[1:]:
        name, _, text = section.partition("\n")
        found[name] = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    return found


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_every_field_is_documented_in_order(value):
    assert documented()[value.__name__] == [field.name for field in msgspec.structs.fields(value)]


def test_nothing_is_documented_that_is_not_there():
    assert set(documented()) == {value.__name__ for value in VALUES}


def test_every_kind_of_event_is_documented_and_no_other():
    _, _, section = DOCUMENT.read_text().partition("\n| kind | subject | when |\n")
    rows = section.partition("\n\n")[0].splitlines()
    named = [kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(kind.value for kind in EventKind)


def test_every_value_has_a_json_schema():
    _, components = msgspec.json.schema_components(VALUES)
    assert {value.__name__ for value in VALUES} <= components.keys()
