"""What is said of the control API, and what it is."""

import re

import msgspec
import pytest

from lab.api_reference import PAGE, all_values, field_meanings, write_page
from van.control.values.base import Value
from van.router.telemetry.events import EventKind

VALUES = all_values()


def test_the_reference_is_as_the_code_has_it():
    text = PAGE.read_text()
    assert write_page(text) == text, "run 'make docs'"


def test_a_value_that_the_reference_has_no_section_for_is_found():
    text = PAGE.read_text()
    with pytest.raises(ValueError, match="ErrorReply"):
        write_page(text.partition("### ErrorReply")[0])


def test_a_field_that_nothing_is_said_of_is_found():
    class Silent(Value, frozen=True):
        said: int
        """What it is."""
        silent: int

    with pytest.raises(ValueError, match=r"Silent\.silent"):
        field_meanings(Silent)


def test_every_kind_of_event_is_documented_and_no_other():
    _, _, section = PAGE.read_text().partition("\n| kind | subject | when |\n")
    rows = section.partition("\n\n")[0].splitlines()
    named = [kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(kind.value for kind in EventKind)


def test_every_value_has_a_json_schema():
    _, components = msgspec.json.schema_components(VALUES)
    assert {value.__name__ for value in VALUES} <= components.keys()
