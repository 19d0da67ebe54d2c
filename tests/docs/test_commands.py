"""Commands that the documentation shows are commands; the reference names all of them."""

import re
import shlex
from typing import Any

import pytest
import typer

from tests.docs.pages import CURRENT, ROOT, blocks_of, name_of, spans_of
from van.cli.main import PROGRAM

REFERENCE = ROOT / "docs" / "cli.md"
ELLIPSES = ("…", "...")
UsageError: Any = typer.BadParameter.__base__
"""Of the parser that typer uses: its own, or that of click."""
SIGNED = {"van audit 1", "van authority 1", "van lsa 1", "van token 2"}
"""What is set before that which is signed; no commands."""


def walk(command, words):
    """Yield every command that does something, with the words that call it."""
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from walk(child, [*words, name])
    else:
        yield " ".join(words), command


def test_every_command_is_in_the_reference():
    text = REFERENCE.read_text()
    commands = [words for words, _ in walk(PROGRAM, ["van"])]
    assert [words for words in commands if not re.search(rf"`{words}[` ]", text)] == []


def test_every_option_is_in_the_reference_and_no_other():
    commands = [PROGRAM, *(command for _, command in walk(PROGRAM, ["van"]))]
    options = {
        option
        for command in commands
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    assert set(re.findall(r"--[a-z][a-z-]*", REFERENCE.read_text())) == options | {"--help"}


def shown_lines(text):
    """Return what the blocks of a page show to be typed: lines that call van, without a prompt."""
    for block in blocks_of(text):
        for line in block:
            typed = re.fullmatch(r"(?: *(?:[\w-]*[$#] +)?|ExecStart=\S*/)(van [a-z-].*)", line)
            if typed and not is_output(line, block):
                yield re.sub(r" {3,}[\d.]+ s$", "", typed[1])  # the demo tells how long it took


def is_output(line, block):
    """In a block with prompts, what has none is what a command printed."""
    has_prompts = any(re.match(r" *[\w-]*\$ ", each) for each in block)
    return has_prompts and not re.match(r" *[\w-]*[$#] ", line)


def calls_in(line):
    """Return the words of each call of van in a line of shell; others in the line are left out."""
    calls: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word in {"|", "&&", "||", ";", "&"}:
            calls.append([])
        else:
            calls[-1].append(word)
    yield from (words[1:] for words in calls if words[:1] == ["van"])


def parse(words):
    """Parse a call as the program does; raises `UsageError`."""
    command, words = PROGRAM, drop_options(list(words))
    if not words or words[0] in ELLIPSES:
        return  # `van --version`, and any command of a site
    while hasattr(command, "commands"):
        name = words.pop(0) if words else ""
        if name not in command.commands:
            raise typer.BadParameter(f"no command {name!r}")
        command = command.commands[name]
    if any(word in ELLIPSES or word == "--help" for word in words):
        check_options(command, words)
    else:
        command.make_context(command.name, words)


def drop_options(words):
    """Return a call's words without the options before the command, which are checked."""
    while words and words[0].startswith("-"):
        check_options(PROGRAM, [option := words.pop(0)])
        if option in {"--site", "-s"}:
            words.pop(0)
    return words


def check_options(command, words):
    known = {each for parameter in command.params for each in parameter.opts} | {"--help", "-h"}
    for word in words:
        if word.startswith("-") and word != "-" and word.partition("=")[0] not in known:
            raise typer.BadParameter(f"no option {word!r}")


@pytest.fixture(autouse=True)
def files_that_are_there(tmp_path, monkeypatch):
    """Commands look for no site and no file while they are parsed."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_commands_in_blocks_are_complete(page):
    wrong = []
    for line in shown_lines(page.read_text()):
        for words in calls_in(line):
            try:
                parse(words)
            except UsageError as exc:
                wrong.append(f"{line}: {exc.format_message()}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_commands_in_sentences_exist(page):
    wrong = []
    for span in spans_of(page.read_text()):
        if not re.match(r"van [a-z-]", span) or span in SIGNED:
            continue
        for words in calls_in(span.replace("[", "").replace("]", "")):
            try:
                parse([*words, "..."])
            except UsageError as exc:
                wrong.append(f"{span}: {exc.format_message()}")
    assert not wrong, "\n".join(wrong)


def test_every_page_is_looked_at():
    shown = {name_of(page) for page in CURRENT if any(shown_lines(page.read_text()))}
    assert {"README.md", "docs/tutorial.md", "docs/cli.md", "docs/operations.md"} <= shown


@pytest.mark.parametrize(
    "line",
    [
        "van exposes tcp db:5432",
        "van bind tcp",
        "van bind tcp db:5432 --port 1",
        "van link",
        "van --site edge link create --expire 1h",
        "ls | van link accpt -",
    ],
)
def test_a_command_that_is_none_is_found(line):
    (words,) = calls_in(line)
    with pytest.raises(UsageError):
        parse(words)
