"""What a person reads of the keys: the head of `config.toml`, and `docs/configuration.md`.

`python -m van.config.reference` prints the page; a test holds it to the one in `docs/`.
"""

import textwrap
from collections.abc import Iterator
from typing import Any, Final

from van.config.keys import SECTIONS, Key, Section

WIDTH: Final = 80
INTRODUCTION: Final = """\
A site of a Virtual Application Network. You may edit this file: what you change counts when the \
router starts the next time ('van down', 'van up'). A command such as 'van expose' changes only \
the lines of what it adds, changes, or removes, and leaves your comments. docs/configuration.md \
says the same at length."""

PAGE_INTRODUCTION: Final = """\
# `config.toml`

What a site's router opens, dials, exposes, and binds: `$XDG_CONFIG_HOME/van/SITE/config.toml`,
which is `~/.config/van/SITE/config.toml` unless told otherwise. This page is printed by
`python -m van.config.reference` (`make docs`), from the table that reads and writes the file.

You may edit the file. What you change counts when the router starts the next time (`van down`,
`van up`); a mistake is told by `van up` with its line. Commands change it too: they touch only the
lines of what they add, change, or remove. Comments, order, spaces, and ends of lines stay, and so
does what you have edited since the router started. A command that removes a block takes the
comments on the block's own lines with it, and leaves those on lines of their own.

The file is [TOML](https://toml.io) in UTF-8, with or without a byte-order mark, and with ends of
lines of either kind. A block can be appended to it at any time, in any order:

```toml
[[connector]]
address = "db:5432"
target = "127.0.0.1:5432"
```

Lists that are written as `connector = [{…}]` are read too; the first command that changes one
writes it as blocks.
"""

PAGE_END: Final = """\
## What is not in it

People write `config.toml`, and van writes the rest, under `$XDG_STATE_HOME/van/SITE`
(`~/.local/state/van/SITE`):

| file | what is in it |
| --- | --- |
| `identity.toml` | the site's key and certificates |
| `tokens/` | a record of each token that was minted here |
| `exposed.json` | since when each connector has been exposed |
| `incarnation` | how often the router has started |
| `router.log` | what a router in the background says |
| `lock`, `control.sock` | held, and served, by the router while it runs |

Each is written to a new file that then takes the place of the old one, so that a crash at any
instant leaves the old content or the new. A command has succeeded when what it asked for is on
disk. Earlier versions kept `since` in `[[connector]]`: it may still stand there, and is not used.
"""


def render_header() -> str:
    """Return the comments that a new file begins with."""
    lines = [*textwrap.wrap(INTRODUCTION, WIDTH - 2)]
    for section in SECTIONS:
        lines += ["", section.header, *textwrap.wrap(section.meaning, WIDTH - 2)]
        for key in section.keys:
            lines += _render_key(key)
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n"


def render_page() -> str:
    """Return `docs/configuration.md`."""
    tables = ("\n".join((*_render_section(section), "")) for section in SECTIONS)
    return "\n".join((PAGE_INTRODUCTION, *tables, PAGE_END))


def _render_key(key: Key) -> list[str]:
    values = "" if key.values == "true or false" else f" ({key.values})"
    text = f"  {key.name} = {key.example}{values}: {key.meaning}"
    return textwrap.wrap(text, WIDTH - 2, subsequent_indent=" " * 6)


def _render_section(section: Section[Any]) -> Iterator[str]:
    yield f"## `{section.header}`"
    yield ""
    yield section.meaning
    yield ""
    yield "| key | value | when absent | meaning |"
    yield "| --- | --- | --- | --- |"
    for key in section.keys:
        yield f"| `{key.name}` | {key.values} | {_describe_default(key)} | {key.meaning} |"


def _describe_default(key: Key) -> str:
    if key.is_required:
        return "it must be there"
    if key.default is None or key.default == ():
        return "—"
    value = key.write(key.default)
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    print(render_page(), end="")  # noqa: T201 - this is its output
