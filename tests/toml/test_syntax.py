"""What a person is told of TOML that is none: the line, what is wrong, and what to write."""

from pathlib import Path

import pytest

from van.errors import ConfigError
from van.toml.table import parse_toml

MISTAKES = {
    "a tab in a key": ('li\tsten = "x"', 1, "expected '=' after a key, found 'sten = \"x\"'"),
    "no equals sign": ('\nlisten "a:1"', 2, "found '\"a:1\"': write KEY = VALUE"),
    "no value": ("[router]\nlisten", 2, "found the end of the line"),
    "nothing after it": ("listen =  # later", 1, "a value is missing after '='"),
    "a colon": ('listen: "x"', 1, "expected '=' after a key, found ': \"x\"'"),
    "no quotes": ("listen = a:1", 1, "'a:1' is not a value: write text in quotes, as \"a:1\""),
    "curly quotes": ("listen = “a:1”", 1, 'not in straight quotes: use "…"'),
    "a word of Python": ("a = true\ndrained = True", 2, "True is not a value: use true or false"),
    "no closing quote": ('[router]\r\nlisten = "a:1\r\n', 2, "a text has no closing quote"),
    "no closing quote at the end": ("listen = 'a", 1, "a text has no closing quote"),
    "an escape": (r'x = "a\d"', 1, r"unescaped '\' in a string"),
    "two on a line": ("a = 1 b = 2", 1, "'b = 2' is one too many on the line"),
    "a lone return": ("a = 1\rb = 2", 1, "'b = 2' is one too many on the line"),
    "a key twice": (
        '[router]\nlisten = "a"\n\nlisten = "b"\n',
        4,
        "key 'listen' is there already, on line 2: keep one",
    ),
    "a table twice": (
        "# [router]\n[router]\n[link]\n [ router ]",
        4,
        "table 'router' is there already, on line 2: put both under one",
    ),
    "a table and a list of it": (
        "[[connector]]\n[connector]",
        2,
        "table 'connector' is there already, on line 1",
    ),
    "a block after a list in brackets": (
        "connector = [{a=1}]\n[[connector]]\na=1",
        2,
        "'connector' is written as connector = … already, on line 1",
    ),
    "an open list": ('a = ["a" "b"]', 1, "no closing bracket, or no comma"),
    "a null": ('a = "x\0"', 1, r"illegal character '\x00'"),
}


@pytest.mark.parametrize(("text", "line", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_line_and_a_remedy(text, line, message):
    with pytest.raises(ConfigError) as caught:
        parse_toml(Path("c.toml"), text.encode())
    said = str(caught.value)
    assert said.startswith(f"c.toml:{line}: not valid TOML: ")
    assert message in said
    assert said.isprintable()


def test_a_byte_order_mark_is_passed_over_and_counts_for_no_column():
    root = parse_toml(Path("c.toml"), b"\xef\xbb\xbf[router]\r\n\tlisten\t=\t'a'\r\n")
    assert root.read_table("router").read_text("listen", str, example="") == "a"
    with pytest.raises(ConfigError, match=r"c.toml:1: .*'a' is not a value"):
        parse_toml(Path("c.toml"), b"\xef\xbb\xbfx = a")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_named(encoding):
    with pytest.raises(ConfigError, match=r"c\.toml:1: text is in UTF-16: save it as UTF-8"):
        parse_toml(Path("c.toml"), "\ufeff[router]\n".encode(encoding))
