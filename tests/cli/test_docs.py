"""The reference of the command line names every command and option, and no other."""

import re
from pathlib import Path

from typer.main import get_command

from van.cli.main import app

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"


def walk(command, words):
    """Yield every command that does something, with the words that call it."""
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from walk(child, [*words, name])
    else:
        yield " ".join(words), command


def test_every_command_is_in_the_reference():
    text = DOCUMENT.read_text()
    commands = [words for words, _ in walk(get_command(app), ["van"])]
    assert [words for words in commands if not re.search(rf"`{words}[` ]", text)] == []


def test_every_option_is_in_the_reference_and_no_other():
    root = get_command(app)
    commands = [root, *(command for _, command in walk(root, ["van"]))]
    options = {
        option
        for command in commands
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    assert set(re.findall(r"--[a-z][a-z-]*", DOCUMENT.read_text())) == options | {"--help"}
