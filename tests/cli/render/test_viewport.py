"""What is seen of a table that is longer than the screen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.cli.render.layout import Span, text_of
from van.cli.render.viewport import (
    DOWN,
    END,
    HOME,
    PAGE_DOWN,
    PAGE_UP,
    QUIT,
    UP,
    Viewport,
    read_keys,
)

LINES = [(Span(f"line {number}"),) for number in range(1, 31)]


def seen(viewport, height=11):
    return [text_of(line) for line in viewport.show(LINES, height)]


def test_a_screen_shows_what_it_has_room_for_and_says_how_to_see_the_rest():
    shown = seen(Viewport())
    assert shown == [
        *(f"line {number}" for number in range(1, 11)),
        "lines 1 to 10 of 30: arrows scroll, q quits",
    ]


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        ([DOWN], 2),
        ([UP], 1),
        ([DOWN, DOWN, UP], 2),
        ([PAGE_DOWN], 11),
        ([PAGE_DOWN, PAGE_UP], 1),
        ([END], 21),
        ([END, DOWN], 21),
        ([END, UP], 20),
        ([END, HOME], 1),
    ],
)
def test_keys_scroll_within_the_lines(keys, first):
    viewport = Viewport()
    seen(viewport)
    for key in keys:
        viewport.press(key)
    assert seen(viewport)[0] == f"line {first}"


def test_a_place_is_kept_when_the_lines_change_and_left_when_they_are_gone():
    viewport = Viewport()
    seen(viewport)
    viewport.press(END)
    assert len(viewport.show(LINES[:5], 11)) == 6
    assert viewport.offset == 0


def test_lines_that_all_fit_are_all_shown():
    assert text_of(Viewport().show(LINES[:5], 11)[-1]) == "q quits"


def test_without_keys_none_are_named():
    assert seen(Viewport(has_keys=False))[-1] == "lines 1 to 10 of 30"


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"\x1b[A\x1b[B", [UP, DOWN]),
        (b"\x1bOA\x1bOB", [UP, DOWN]),
        (b"\x1b[5~\x1b[6~", [PAGE_UP, PAGE_DOWN]),
        (b"\x1b[H\x1b[F\x1b[1~\x1b[4~", [HOME, END, HOME, END]),
        (b"kjb gG", [UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END]),
        (b"q", [QUIT]),
        (b"\x1b[1;5Cx\xff\x1b", []),
    ],
)
def test_keys_are_what_terminals_send(data, keys):
    assert read_keys(data) == keys


@given(st.binary(max_size=40), st.integers(1, 40))
def test_whatever_is_typed_the_lines_fit_the_screen(data, height):
    viewport = Viewport()
    for key in read_keys(data):
        viewport.press(key)
        assert 0 < len(viewport.show(LINES, height)) <= height
