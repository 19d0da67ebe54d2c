"""Where things are in a text: what only looks like a header, a key, or a comment is none."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.toml.layout import Layout, find_comments

TEXT = '''\
# [link]
title = """
[[link]]
site = "no" # not a comment
"""
list = [
  "[router]", # a comment
  # [[link]]
  { site = "x" },
]
"quo#ted".key = '#'

[[link]]   # the first
  site = """]"""
[ "link" . sub ]
site = 1
["router"]
[[ link ]]
"si\\u0074e" = "b"
cost = 1'''


@pytest.mark.parametrize(
    ("table", "index", "key", "line"),
    [
        ("", 0, "title", 2),
        ("", 0, "list", 6),
        ("", 0, "quo#ted", 11),
        ("", 0, "link", 13),
        ("link", 0, None, 13),
        ("link", 0, "site", 14),
        ("link", 0, "missing", 13),
        ("router", 0, None, 17),
        ("link", 1, "site", 19),
        ("link", 1, "cost", 20),
        ("list", 0, "site", 9),
        ("quo#ted", 0, "key", 11),
        ("absent", 0, "key", 1),
    ],
)
def test_lines_are_those_of_what_is_said_there(table, index, key, line):
    assert Layout(TEXT).find_line(table, index, key) == line


def test_comments_are_told_from_what_looks_like_one():
    found = ["# [link]", "# a comment", "# [[link]]", "# the first"]
    assert find_comments(TEXT) == found
    assert find_comments(TEXT.replace("\n", "\r\n")) == found


@given(st.text("ab[]{}=\"'#\n\\.,1 ", max_size=60))
def test_of_any_text_that_is_valid_every_key_has_its_place(text):
    try:
        values = tomllib.loads(text)
    except ValueError:
        return
    layout = Layout(text)
    said = {each.path[0] for each in layout.blocks[0].statements}
    assert values.keys() == said | {block.path[0] for block in layout.blocks[1:]}
