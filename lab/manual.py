"""The manual page and the files of shell completion, from the commands themselves.

`make docs` writes them to `share/`, from where the package installs them; a test holds the files to
the commands.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner

from van import __version__
from van.cli.examples import EXAMPLES
from van.cli.main import PROGRAM, app

SHARE: Final = Path(__file__).parent.parent / "share"
UNTOLD: Final = {"--site", "--install-completion", "--show-completion"}
"""Options that are not told of at every command, or not at all."""
WIDTH: Final = 78

HEAD: Final = rf"""
.\" Written by lab/manual.py from the commands: change those, and run 'make docs'.
.TH VAN 1 "" "van {__version__}" "User Commands"
.SH NAME
van \- programs reach each other by name, wherever they run
.SH SYNOPSIS
.B van
.RI [ OPTIONS ]
.I COMMAND
.RI [ ARGS ]
.SH DESCRIPTION
A Virtual Application Network: a router for each
.IR site ,
links between pairs of sites, and addresses such as
.B db:5432
that are the same at every site. No root, no VPN, no change to the programs.
"""

TAIL: Final = r"""
.SH EXAMPLES
.EX
edge$ van init edge \-\-listen 0.0.0.0:7671
edge$ van link create invite.toml
laptop$ van init laptop
laptop$ van link accept invite.toml
edge$ van expose tcp db:5432
laptop$ van bind tcp db:5432
laptop$ psql \-h localhost
.EE
.SH EXIT STATUS
.TP
.B 0
What was asked for is done.
.TP
.B 1
It is not; one line on standard error says why.
.TP
.B 2
The command was not understood.
.TP
.B 130
Ctrl\-C ended it.
.SH ENVIRONMENT
.TP
.B VAN_SITE
The site that commands are about where
.B \-\-site
does not say it.
.TP
.BR XDG_CONFIG_HOME ", " XDG_STATE_HOME
Where configuration and state are kept; by default
.I ~/.config
and
.IR ~/.local/state .
.SH FILES
.TP
.I $XDG_CONFIG_HOME/van/SITE/config.toml
What the site's router opens, dials, exposes, and binds; you may edit it. Its head says how.
.TP
.I $XDG_STATE_HOME/van/SITE/
Keys and certificates, tokens, the log of the router, and its control socket.
"""


def write_manual() -> str:
    """Return the manual page in the language of man(7)."""
    group = PROGRAM
    site = next(each for each in group.params if "--site" in each.opts)
    parts = [HEAD, ".SH OPTIONS\n", _option(site), *_options(group), ".SH COMMANDS\n"]
    parts.append(escape("Each takes --site and --help too."))
    for path, command in _commands(group, ("van",)):
        parts += [_section(path, command), *_options(command), _examples(path)]
    return "".join((*parts, TAIL)).lstrip()


def write_completion(shell: str) -> str:
    """Return the file with which a shell completes the command line of van."""
    run = CliRunner().invoke(app, prog_name="van", env={"_VAN_COMPLETE": f"source_{shell}"})
    script = run.stdout
    if shell == "zsh":
        # A file that zsh loads on the first Tab has to answer it as well.
        script = script.replace(
            "\ncompdef _van_completion van",
            '\nif [ "$funcstack[1]" = "_van" ]; then\n  _van_completion "$@"\nelse\n'
            "  compdef _van_completion van\nfi",
        )
    return script.strip() + "\n"


def files() -> dict[Path, str]:
    """Return what is installed under `share`, by its path there."""
    return {
        Path("man/man1/van.1"): write_manual(),
        Path("bash-completion/completions/van"): write_completion("bash"),
        Path("zsh/site-functions/_van"): write_completion("zsh"),
        Path("fish/vendor_completions.d/van.fish"): write_completion("fish"),
    }


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with the words that name it."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _section(path: tuple[str, ...], command: Any) -> str:
    words = [rf"\fB{_escape_line(' '.join(path))}\fR"]
    words += [r"[\fIOPTIONS\fR]"]
    words += [_metavar(each) for each in command.params if each.param_type_name == "argument"]
    return f".SS {' '.join(words)}\n{_paragraphs(command.help)}"


def _examples(path: tuple[str, ...]) -> str:
    lines = "\n".join(map(_escape_line, EXAMPLES.get(" ".join(path[1:]), ())))
    return f".PP\n.EX\n{lines}\n.EE\n" if lines else ""


def _options(command: Any) -> Iterator[str]:
    for param in command.params:
        if param.param_type_name == "argument":
            yield f".TP\n{_metavar(param)}\n{escape(param.help or '')}"
        elif not UNTOLD & set(param.opts):
            yield _option(param)


def _option(param: Any) -> str:
    names = [*sorted(param.opts, key=len), *param.secondary_opts]
    shown = ", ".join(rf"\fB{_escape_line(each)}\fR" for each in names)
    value = "" if param.is_flag else f" {_metavar(param)}"
    return f".TP\n{shown}{value}\n{escape(param.help + _default(param))}"


def _metavar(param: Any) -> str:
    name = rf"\fI{_escape_line(param.metavar or param.name.upper())}\fR"
    name = f"{name}..." if param.nargs == -1 else name
    is_optional = param.param_type_name == "argument" and not param.required
    return f"[{name}]" if is_optional else name


def _default(param: Any) -> str:
    if param.is_flag or param.default in (None, (), []) or callable(param.default):
        return ""
    return f" (default: {param.default})"


def _paragraphs(text: str) -> str:
    """Return text of several paragraphs, of which an indented one is shown as it stands."""
    found = []
    for part in re.split(r"\n\s*\n", text.replace("\b", "").strip()):
        if part.startswith(" "):
            lines = "\n".join(map(_escape_line, textwrap.dedent(part).splitlines()))
            found.append(f".PP\n.EX\n{lines}\n.EE\n")
        else:
            found.append(f".PP\n{escape(part)}")
    return "".join(found).removeprefix(".PP\n")


def escape(text: str) -> str:
    """Return text on lines that roff fills, and of which it shows every character as it is."""
    lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{_escape_line(line)}\n" for line in lines)


def _escape_line(line: str) -> str:
    line = line.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{line}" if line.startswith((".", "'")) else line


if __name__ == "__main__":
    for place, content in files().items():
        (SHARE / place).parent.mkdir(parents=True, exist_ok=True)
        (SHARE / place).write_text(content)
