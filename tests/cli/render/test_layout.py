"""Tables on screens of every width."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.values import UNHEARD, make_link, make_status
from tests.docs.screens import SCREENS
from van.cli.render.layout import lay_out, plain_text, text_of, width_of, wrap
from van.cli.render.status import links_section
from van.cli.render.tables import Cell, Section, numeric

WIDTHS = (60, 80, 120, 200)
TABLE = Section(
    "Links",
    ("SITE", "COST", "REMOTE", "DETAIL"),
    [
        (Cell("hub"), numeric(1), Cell("192.0.2.1:7671"), Cell("")),
        (Cell("north"), numeric(2), Cell("192.0.2.2:7671"), Cell("it does not answer at all")),
    ],
    folds=("REMOTE", "COST"),
)


def words_of(section):
    """Return the names and the reasons of a table, which are never left out."""
    kept = [index for index, name in enumerate(section.headings) if name not in section.folds]
    return [row[index].text for row in section.rows for index in kept]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", SCREENS)
def test_every_table_fits_its_screen_with_names_reasons_and_whole_headings(command, width):
    shown = plain_text(SCREENS[command], width)
    assert max(map(len, shown.splitlines())) <= width
    words = set(shown.split())
    for section in SCREENS[command]:
        reason_is_below = section.headings[-1:] if width < 80 else ()
        for name in section.without_blank_columns().headings:
            if name not in (*section.folds, *reason_is_below):
                assert set(name.split()) <= words
        # Only what is wider than the screen is ever broken.
        for text in words_of(section):
            assert set(text.split()) <= words


@pytest.mark.parametrize("command", SCREENS)
def test_what_a_narrow_screen_leaves_out_is_named(command):
    for section in SCREENS[command]:
        shown = plain_text([section], 60)
        head = [line for line in shown.splitlines() if line.startswith("  ")][:1]
        told = " ".join(shown.partition("a wider screen also shows")[2].split()).split(", ")
        for name in section.without_blank_columns().headings[:-1]:
            assert name in told or re.search(rf"\b{name}\b", head[0]), name


def test_texts_wrap_before_columns_fold():
    assert plain_text([TABLE], 60).splitlines() == [
        "Links",
        "  SITE   COST  REMOTE          DETAIL",
        "  hub       1  192.0.2.1:7671",
        "  north     2  192.0.2.2:7671  it does not answer at all",
    ]


def test_the_least_important_column_folds_first_and_is_named():
    assert plain_text([TABLE], 44).splitlines() == [
        "Links",
        "  SITE   COST  DETAIL",
        "  hub       1",
        "  north     2  it does not answer at all",
        "  a wider screen also shows REMOTE",
    ]


def test_a_reason_goes_below_its_row_when_all_has_folded():
    assert plain_text([TABLE], 20).splitlines() == [
        "Links",
        "  SITE",
        "  hub",
        "  north",
        "    it does not",
        "    answer at all",
        "  a wider screen",
        "  also shows REMOTE,",
        "  COST",
    ]


def test_a_name_is_broken_only_where_the_screen_is_narrower_than_it():
    name = "n" * 63
    links = [make_link(neighbor=name, state="connecting", detail="no answer", **UNHEARD)]
    section = links_section(make_status(links=links))
    assert f"  {name}  connecting" in plain_text([section], 80)
    narrow = plain_text([section], 60)
    assert name in re.sub(r"\s|STATE|SITE|connecting", "", narrow)
    assert max(map(len, narrow.splitlines())) <= 60
    assert "no answer" in narrow


def test_a_pipe_gets_every_column_on_one_line():
    assert plain_text([TABLE]).splitlines()[2] == "  hub       1  192.0.2.1:7671"


def test_wide_characters_take_two_columns():
    assert width_of("日本") == 4
    assert width_of("e\N{COMBINING ACUTE ACCENT}") == 1
    assert wrap("日本語", 4) == ["日本", "語"]


TEXTS = st.text(st.sampled_from("abc 日"), max_size=30)


@settings(max_examples=50)
@given(
    st.integers(24, 120),
    st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=4),
    st.booleans(),
)
def test_no_line_is_wider_than_the_screen_and_nothing_that_stays_is_lost(width, rows, is_reason):
    headings = ("NAME", "ONE", "TWO", "WHY" if is_reason else "LIST")
    section = Section(
        "Table",
        headings,
        [(Cell(f"x{row[0]}"), numeric(row[1]), Cell(row[2]), Cell(row[3])) for row in rows],
        folds=("ONE",),
    )
    lines = [text_of(line) for line in lay_out([section], width)]
    assert all(width_of(line) <= width for line in lines)
    shown = "".join(sorted("".join(lines)))
    for index in (0, 2, 3):
        for row in section.rows:
            for character in set(row[index].text.replace(" ", "")):
                assert shown.count(character) >= row[index].text.count(character)
