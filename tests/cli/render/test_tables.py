import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.cli.render.layout import lay_out, plain_text
from van.cli.render.printing import paint
from van.cli.render.tables import BAD, Cell, Section

TABLE = Section(
    "Links",
    ("SITE", "COST", "DETAIL"),
    [
        (Cell("hub"), Cell("1", is_number=True), Cell("")),
        (Cell("north-pole"), Cell("10", is_number=True), Cell("")),
    ],
    "none",
    "and 3 more",
)


@pytest.fixture(autouse=True)
def colours(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)


def drawn(section):
    return "\n".join(paint(lay_out([section], 80)))


def test_columns_are_aligned_and_blank_ones_left_out():
    assert plain_text([TABLE]).splitlines() == [
        "Links",
        "  SITE        COST",
        "  hub            1",
        "  north-pole    10",
        "  and 3 more",
    ]


def test_sections_are_apart():
    assert plain_text([TABLE, TABLE]).count("\n\nLinks\n") == 1


def test_an_empty_section_says_what_to_do():
    empty = Section("Links", ("SITE",), [], "no links: 'van link create'")
    assert plain_text([empty]) == "Links\n  no links: 'van link create'"
    assert "no links: 'van link create'" in drawn(empty)


def test_pairs_have_no_header():
    section = Section("Site west", (), [(Cell("VAN"), Cell("3f9a")), (Cell("router"), Cell(""))])
    assert plain_text([section]).splitlines() == ["Site west", "  VAN     3f9a", "  router"]


def test_a_terminal_gets_colours():
    section = Section("Links", ("SITE", "STATE"), [(Cell("hub"), Cell("down", BAD))])
    assert "\x1b[31mdown" in drawn(section)


def test_who_wants_no_colours_gets_none(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    section = Section("Links", ("SITE", "STATE"), [(Cell("hub"), Cell("down", BAD))])
    assert drawn(section) == plain_text([section])


def test_markup_is_text_on_a_terminal():
    assert "[red]x[/red]" in drawn(Section("S", ("A",), [(Cell("[red]x[/red]"),)]))


@pytest.mark.parametrize("show", [lambda section: plain_text([section]), drawn])
def test_text_of_other_sites_can_not_move_the_cursor(show):
    shown = show(Section("S", ("A",), [(Cell("evil\x1b[2J\r\n\ttext"),)]))
    assert "\x1b[2J" not in shown
    assert "\r" not in shown


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=5))
def test_every_row_is_one_line(rows):
    section = Section("S", ("#", "A", "B"), [(Cell("x"), Cell(a), Cell(b)) for a, b in rows])
    assert len(plain_text([section]).splitlines()) == len(rows) + 2
