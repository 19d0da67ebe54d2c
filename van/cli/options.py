"""Options and arguments that several commands share."""

import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, Literal

import msgspec
import typer

from van.cli import completion
from van.cli.render.humanize import parse_duration, parse_seconds, printable
from van.config import LOG_FORMATS, LOG_LEVELS, MAX_COST, MAX_HOLD, MIN_HOLD, PROTOCOLS
from van.control.client import ControlClient
from van.control.values.base import Created
from van.errors import InvalidValue, LocalError
from van.paths import SITE_VARIABLE, choose_site


def inherit_site(ctx: typer.Context, value: str | None) -> str | None:
    """Let --site stand before the command or after it; after it wins."""
    return value or completion.site_option(ctx)


Site = Annotated[
    str | None,
    typer.Option(
        "--site",
        "-s",
        metavar="NAME",
        help=f"Site that the command is about; {SITE_VARIABLE} says it for all commands, and with "
        "one site on this machine nobody needs to.",
        autocompletion=completion.complete_site,
        callback=inherit_site,
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, as the control API gives it.")]


MIN_CERTIFICATE_LIFE: Final = 10.0
MAX_CERTIFICATE_LIFE: Final = 366 * 86400.0


def check_certificate_life(text: str) -> int:
    """Return a duration in seconds, if certificates can be good for so long; raise
    `InvalidValue`."""
    seconds = parse_duration(text)
    if MIN_CERTIFICATE_LIFE <= seconds <= MAX_CERTIFICATE_LIFE:
        return int(seconds)
    raise InvalidValue(f"duration {text!r} is not valid for a certificate: use 10s to 366d")


def check_protocol_first(ctx: typer.Context, value: str) -> str:
    """Return a protocol that is the first word; raise `typer.BadParameter` that says how else."""
    if value in PROTOCOLS or ctx.resilient_parsing:
        return value
    if value.lower() in PROTOCOLS:
        raise typer.BadParameter(f"protocol {value!r} is written {value.lower()!r}")
    if ":" in value or value.isdigit():
        address = value if ":" in value else f"NAME:{value}"
        raise typer.BadParameter(f"say the protocol first: {ctx.command_path} tcp {address}")
    raise typer.BadParameter(f"protocol {value!r} is not known: use {', '.join(PROTOCOLS)}")


Protocol = Annotated[
    str,
    typer.Argument(
        help="tcp, udp, or http",
        autocompletion=completion.complete_protocol,
        metavar="PROTOCOL",
        callback=check_protocol_first,
    ),
]
ProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="PROTOCOL",
        help="tcp, udp, or http; the one that the address is served over unless told.",
        autocompletion=completion.complete_protocol,
    ),
]
ADDRESS_HELP = "NAME:PORT of a running process, such as db:5432."
Neighbor = Annotated[
    str,
    typer.Argument(
        metavar="SITE", help="Site at the other end.", autocompletion=completion.complete_neighbor
    ),
]
Cost = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Cost of the link: flows take the path of least cost; auto follows the round trip.",
        autocompletion=completion.complete_cost,
        show_default=False,
    ),
]


def _one_of(allowed: Iterable[str], what: str) -> Callable[[str | None], str | None]:
    def check(value: str | None) -> str | None:
        if value is None or value in allowed:
            return value
        raise typer.BadParameter(f"{what} {value!r} is not known: use {', '.join(allowed)}")

    return check


LogLevel = Annotated[
    str | None,
    typer.Option(
        metavar="LEVEL",
        help=f"How much is logged: {', '.join(LOG_LEVELS)}; log_level in config.toml keeps it.",
        callback=_one_of(LOG_LEVELS, "log level"),
        show_default=False,
    ),
]
LogFormat = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        help="Lines of text, or of json; log_format in config.toml keeps it.",
        callback=_one_of(LOG_FORMATS, "log format"),
        show_default=False,
    ),
]


def parse_cost(text: str) -> int | Literal["auto"]:
    """Return a cost as the control API takes it; raise `typer.BadParameter`."""
    if text == "auto":
        return "auto"
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_COST:
        return int(text)
    raise typer.BadParameter(f"cost {text!r} is not valid: use 1 to {MAX_COST}, or auto")


def parse_hold(text: str) -> float:
    """Return a hold time in seconds; raise `typer.BadParameter`."""
    try:
        seconds = parse_seconds(text)
    except LocalError as exc:
        raise typer.BadParameter(str(exc)) from exc
    if not MIN_HOLD <= seconds <= MAX_HOLD:
        raise typer.BadParameter(
            f"hold time {text!r} is not valid: use {MIN_HOLD:g} to {MAX_HOLD:g} seconds"
        )
    return seconds


def open_client(site: str | None) -> ControlClient:
    """Return the client for the site that was asked for, or the only one there is."""
    return ControlClient(choose_site(site))


def print_json(value: Any) -> None:
    """Print a value of the control API for a program to read."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_outcome(subject: str, outcome: Created) -> None:
    """Say how something stands that was made, changed, or removed."""
    detail = f" ({printable(outcome.detail)})" if outcome.detail else ""
    typer.echo(f"{subject}: {printable(outcome.state)}{detail}")


def confirm(question: str, *, err: bool = False) -> bool:
    """Ask a person for a yes; Ctrl-C raises `KeyboardInterrupt`."""
    typer.echo(f"{question} [y/N]: ", nl=False, err=err)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
