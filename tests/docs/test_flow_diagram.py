"""The diagrams of docs/protocol.md are those that the tables of the flow protocol make."""

import re

from lab.flow_diagram import PAGE, TITLES, draw, write_page
from van.wire.flow_states import RECEIVED, SENT


def test_the_page_shows_the_tables_as_they_are():
    text = PAGE.read_text()
    assert write_page(text) == text, "run make docs"


def test_a_diagram_has_every_step_of_its_tables():
    for role in TITLES:
        drawn = "\n".join(draw(role))
        labels = re.findall(r"(?:sends|gets) \w+", drawn)
        decided = [
            after
            for table in (SENT, RECEIVED)
            for row in table[role].values()
            for after in row.values()
            if after is not None
        ]
        assert len(labels) == len(decided)


def test_a_page_without_a_place_for_them_is_refused():
    try:
        write_page("nothing")
    except ValueError as exc:
        assert "where the drawing goes" in str(exc)
    else:
        raise AssertionError
