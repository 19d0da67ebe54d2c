"""`van policy`: what the VAN as a whole allows."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from van.cli.completion import complete_address, complete_known_site
from van.cli.help import Command, Group
from van.cli.options import Json, Site, open_client, print_json
from van.cli.render.printing import print_sections
from van.control.values.policy import PolicyCheckSpec, PolicySet, PolicySpec
from van.errors import ConfigError, NotAllowed, NotFound
from van.files import read_bytes
from van.policy import MAX_DOCUMENT

app = typer.Typer(
    help="What the VAN as a whole allows: open or closed, and rules.",
    cls=Group,
    no_args_is_help=True,
)

MAX_FILE: Final = 4 * MAX_DOCUMENT
"""Largest document in bytes, however its characters are coded."""


@app.command(cls=Command)
def show(json: Json = False, site: Site = None) -> None:
    """Show whether the VAN is open, and its rules as they were set.

    What is printed can be changed, and set again.
    """
    found = open_client(site).policy()
    if json:
        print_json(found)
        return
    state = "closed" if found.is_closed else "open"
    by = f"site {found.by!r}" if found.by else "the root"
    when = f"{found.at:%F %TZ}" if found.at else ""
    said = f", version {found.version}, by {by} on {when}" if found.version else ""
    typer.echo(f"# the VAN is {state}{said}")
    typer.echo(found.document.rstrip("\n") or "# no rules")


@app.command("set", cls=Command)
def set_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The rules in TOML; - reads standard input.")
    ],
    site: Site = None,
) -> None:
    """Set the rules of the VAN, in the place of those that it has.

    Each [[rule]] has an action (allow or deny), from (sites), and to (addresses); of a flow, the
    first that is about it counts. It is in force everywhere within a second, and ends what is not
    allowed any more. A rule that never counts is warned of.
    """
    from van.policy.document import read_policy  # reads TOML, which takes a moment to load

    document = _read(file)
    read_policy(document, path=file)
    _print_set(open_client(site).set_policy(PolicySpec(document=document)), "rules are set")


@app.command(cls=Command)
def closed(site: Site = None) -> None:
    """Close the VAN: nothing reaches anything but where a rule or --allow-from says so.

    Flows that nothing allows end within a second, everywhere.
    """
    _print_set(open_client(site).set_policy(PolicySpec(is_closed=True)), "the VAN is closed")


@app.command("open", cls=Command)
def open_(site: Site = None) -> None:
    """Open the VAN: what no rule denies, and no --allow-from leaves out, is allowed."""
    _print_set(open_client(site).set_policy(PolicySpec(is_closed=False)), "the VAN is open")


@app.command(cls=Command)
def check(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            help="The site whose programs would reach it.",
            autocompletion=complete_known_site,
        ),
    ],
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS", help="The address, NAME:PORT.", autocompletion=complete_address
        ),
    ],
    json: Json = False,
    site: Site = None,
) -> None:
    """Say whether a site may reach an address, and which line decides.

    Fails if it may not, wherever that is served.
    """
    found = open_client(site).check_policy(PolicyCheckSpec(source=source, address=address))
    if json:
        print_json(found)
    else:
        from van.cli.render.policy import check_section

        print_sections([check_section(found)])
    if not any(each.is_allowed for each in found.verdicts):
        raise NotAllowed(f"site {source!r} may not reach {address}")


def _read(file: Path) -> str:
    data = sys.stdin.buffer.read(MAX_FILE) if str(file) == "-" else read_bytes(file, limit=MAX_FILE)
    if data is None:
        raise NotFound(f"file {file} is not there: write the rules to it, or read them from -")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{line}: byte 0x{data[exc.start]:02x} is not UTF-8") from exc


def _print_set(done: PolicySet, said: str) -> None:
    for each in done.warnings:
        typer.echo(f"warning: {each}", err=True)
    typer.echo(f"{said}: version {done.version}" if done.is_new else f"{said} already")
