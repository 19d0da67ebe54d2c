"""`van link`: tokens are minted and accepted, links listed, weighed, and given up."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from van.cli.completion import complete_cost, complete_names
from van.cli.help import Command, Group
from van.cli.options import (
    Cost,
    Json,
    Neighbor,
    Site,
    check_certificate_life,
    open_client,
    parse_cost,
    parse_hold,
    print_json,
    print_outcome,
)
from van.cli.render.grants import describe_grants
from van.cli.render.humanize import format_count, format_duration, parse_duration, printable
from van.cli.render.printing import print_sections
from van.config import DEFAULT_HOLD
from van.control.client import ControlClient
from van.control.values.links import LinkAccept
from van.control.values.tokens import TokenCreate, TokenCreated
from van.errors import AlreadyExists, InvalidValue, LocalError, NotFound, StorageError
from van.files import read_bytes, write_atomic
from van.names import check_pattern, check_site_name, check_site_pattern, check_tag
from van.paths import site_paths

app = typer.Typer(help="Links to neighbouring sites.", cls=Group, no_args_is_help=True)

MAX_TOKEN: Final = 128 * 1024
"""Largest token in bytes that is read."""
MIN_LIFE: Final = 1.0
MAX_LIFE: Final = 366 * 86400.0
"""Longest life of a token in seconds, the same as in the control API."""


@app.command(cls=Command)
def create(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Write the token here, readable by you only."),
    ] = None,
    expires: Annotated[
        str, typer.Option(metavar="DURATION", help="How long it is good for: 90s, 15m, 1h30m, 7d.")
    ] = "15m",
    uses: Annotated[
        int, typer.Option(metavar="N", min=1, max=100_000, help="How many sites it lets in.")
    ] = 1,
    cost: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Cost of the link; auto follows the round trip.",
            autocompletion=complete_cost,
        ),
    ] = "1",
    names: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="NAMES",
            help="Who it is for: 'dbhost', or 'laptop-*,desk-*'.",
            autocompletion=complete_names,
        ),
    ] = "",
    replaces: Annotated[
        bool,
        typer.Option(
            "--replaces", help="Give a name of --for to a new key, where its old one is lost."
        ),
    ] = False,
    tags: Annotated[
        str, typer.Option("--tag", metavar="TAGS", help="Tags of the new site: 'prod,eu'.")
    ] = "",
    can_invite: Annotated[
        bool, typer.Option("--can-invite", help="Let the new site mint tokens too.")
    ] = False,
    allow_expose: Annotated[
        str,
        typer.Option(
            metavar="PATTERNS", help="What it may expose: 'web,*.staging,db:5432', or none."
        ),
    ] = "*",
    allow_bind: Annotated[
        str,
        typer.Option(metavar="PATTERNS", help="What it may bind: 'db,*.shop,*:443', or none."),
    ] = "*",
    may_name: Annotated[
        str,
        typer.Option(metavar="NAMES", help="With --can-invite: names it may give, 'laptop-*'."),
    ] = "*",
    may_tag: Annotated[
        str, typer.Option(metavar="TAGS", help="With --can-invite: tags it may give, or '*'.")
    ] = "none",
    life: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long its certificates are good, which are renewed before: 1h, 7d.",
            show_default="as the VAN has set",
        ),
    ] = None,
    ephemeral: Annotated[
        bool,
        typer.Option(
            "--ephemeral", help="For pods and CI: nothing is renewed, and the name is free again."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
    site: Site = None,
) -> None:
    """Mint a token, the invitation to a link.

    Whoever accepts it joins this network by a link to this site. Without FILE, it is printed.
    """
    if replaces and not names:
        raise InvalidValue("--replaces needs --for NAME: whose name the new site takes over")
    if not can_invite and (may_name != "*" or may_tag != "none"):
        raise InvalidValue("--may-name and --may-tag limit who may invite: add --can-invite")
    spec = TokenCreate(
        expires_in=_check_life(expires),
        uses=uses,
        cost=parse_cost(cost),
        can_invite=can_invite,
        allow_expose=_patterns(allow_expose),
        allow_bind=_patterns(allow_bind),
        names=_names(names, check_site_pattern),
        replaces=replaces,
        tags=_names(tags, check_tag),
        may_name=_names(may_name, check_site_pattern),
        may_tag=_names(may_tag, check_site_pattern),
        life=None if life is None else check_certificate_life(life),
        is_ephemeral=ephemeral,
    )
    to_stdout = file is None or str(file) == "-"
    if file and not to_stdout and file.exists() and not force:
        raise AlreadyExists(f"file {file} exists: choose another, or use --force to replace it")
    client = open_client(site)
    token = client.create_token(spec)
    if file is None or to_stdout:
        typer.echo(token.token.rstrip("\n"))
    else:
        _write_token(client, token, file)
    _explain(client, spec, token)


def _write_token(client: ControlClient, token: TokenCreated, file: Path) -> None:
    """Write a token's file; one that nobody can have is revoked."""
    try:
        write_atomic(file, token.token.encode(), mode=0o600)
    except StorageError:
        client.revoke_token(token.id)
        raise


def _explain(client: ControlClient, spec: TokenCreate, token: TokenCreated) -> None:
    grants = describe_grants(
        spec.allow_expose,
        spec.allow_bind,
        can_invite=spec.can_invite,
        may_name=spec.may_name,
        may_tag=spec.may_tag,
    )
    typer.echo(
        f"token {token.id} is good for {format_count(spec.uses, 'use')} within "
        f"{format_duration(spec.expires_in)}, and dials {' or '.join(token.addresses)}: "
        "keep it secret",
        err=True,
    )
    typer.echo(f"{_describe_guest(spec)} may {grants}", err=True)
    if spec.is_ephemeral:
        typer.echo(
            "it is ephemeral: nothing is renewed, and its name is free once it stops", err=True
        )
    if spec.allow_bind and client.policy().is_closed:
        typer.echo(
            "note: the VAN is closed: of what it binds it reaches only what a rule of the policy "
            "or an --allow-from\n      is for, by its name or its tags",
            err=True,
        )
    if token.is_local_only:
        typer.echo(
            "note: it works on this machine only, as the link port is open on loopback only; "
            "to let others in, set listen under [router] in\n"
            f"      {site_paths(client.site).config_file}, then van down, van up; "
            "or make a site with van init --listen",
            err=True,
        )


def _describe_guest(spec: TokenCreate) -> str:
    """Return whom a token lets in, in words."""
    who = f"site {' or '.join(spec.names)}" if spec.names else "who is let in by it"
    tagged = f", tagged {', '.join(spec.tags)}," if spec.tags else ""
    return who + tagged


@app.command(cls=Command)
def accept(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The token's file; - reads standard input.")
    ],
    cost: Cost = None,
    hold: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            parser=parse_hold,
            help="Silence after which the link counts as lost: 0.1 to 60, or 500ms.",
            show_default=f"{DEFAULT_HOLD:g}",
        ),
    ] = None,
    site: Site = None,
) -> None:
    """Accept a token, and link up.

    A site with a network of its own joins the token's; a member gains a link, and what the token
    allows beyond what it may do already.
    """
    token = _read_token(file)
    accepted = open_client(site).accept_token(
        LinkAccept(token=token, cost=None if cost is None else parse_cost(cost), hold=hold)
    )
    joined = f"joined VAN {accepted.van}, by a" if accepted.joined else "made a"
    typer.echo(f"{joined} link to site {accepted.neighbor!r}")
    if accepted.joined or accepted.has_gained:
        grants = describe_grants(
            accepted.allow_expose, accepted.allow_bind, can_invite=accepted.can_invite
        )
        typer.echo(f"this site may {'now ' if accepted.has_gained else ''}{grants}")
    if accepted.note:
        typer.echo(f"note: {printable(accepted.note)}", err=True)
    if accepted.is_up:
        typer.echo("the link is up")
    else:
        why = printable(accepted.detail) or "the other side has not answered"
        typer.echo(f"the link is not up yet: {why}", err=True)
    if accepted.warning:
        typer.echo(f"warning: {printable(accepted.warning)}", err=True)


def _read_token(file: Path) -> str:
    if str(file) == "-":
        data: bytes | None = sys.stdin.buffer.read(MAX_TOKEN + 1)
    else:
        data = read_bytes(file, limit=MAX_TOKEN)
    if data is None:
        raise NotFound(f"token file {file} is not there")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise LocalError(f"file {file} is not a token: it is not text") from None
    if not text.strip() or len(data) > MAX_TOKEN:
        raise LocalError(f"file {file} is not a token: use what 'van link create' printed")
    return text


@app.command("list", cls=Command)
def list_all(json: Json = False, site: Site = None) -> None:
    """List the links of this site."""
    status = open_client(site).status()
    if json:
        print_json(status.links)
    else:
        from van.cli.render.status import links_section

        print_sections([links_section(status)])


@app.command(cls=Command)
def delete(neighbor: Neighbor, site: Site = None) -> None:
    """Give up the link to a neighbour.

    Live flows over it end; new ones take another path if there is one.
    """
    name = check_site_name(neighbor)
    print_outcome(f"link to site {name!r}", open_client(site).delete_link(name))


@app.command(cls=Command)
def cost(
    neighbor: Neighbor,
    cost: Annotated[
        str,
        typer.Argument(
            metavar="N|auto",
            help="1 is the least, 65535 the most; auto follows the round trip.",
            autocompletion=complete_cost,
        ),
    ],
    site: Site = None,
) -> None:
    """Set the cost of a link.

    Flows take the path of least cost.
    """
    name = check_site_name(neighbor)
    print_outcome(f"link to site {name!r}", open_client(site).set_cost(name, parse_cost(cost)))


@app.command(cls=Command)
def hold(
    neighbor: Neighbor,
    seconds: Annotated[
        float,
        typer.Argument(metavar="SECONDS", parser=parse_hold, help="0.1 to 60, or 500ms."),
    ],
    site: Site = None,
) -> None:
    """Set after how much silence a link counts as lost.

    A short time finds a dead path sooner, a long one suits a machine that is often busy.
    """
    name = check_site_name(neighbor)
    print_outcome(f"link to site {name!r}", open_client(site).set_hold(name, seconds))


def _check_life(text: str) -> float:
    seconds = parse_duration(text)
    if MIN_LIFE <= seconds <= MAX_LIFE:
        return seconds
    raise InvalidValue(f"duration {text!r} is not valid for a token: use 1s to 366d")


def _names(text: str, check: Callable[[str], str]) -> tuple[str, ...]:
    """Return the names in a list with commas between; the word `none` is an empty one."""
    if text.strip() in ("none", ""):
        return ()
    return tuple(check(name.strip()) for name in text.split(","))


def _patterns(text: str) -> tuple[str, ...]:
    """Return the patterns in a list with commas between; the word `none` is an empty one."""
    return _names(text, check_pattern)
