"""`van token`: the tokens that this site minted."""

from typing import Annotated

import typer

from van.cli.completion import complete_token
from van.cli.help import Command, Group
from van.cli.options import Json, Site, confirm, open_client, print_json, print_outcome
from van.cli.render.humanize import printable
from van.cli.render.printing import print_sections
from van.control.values.expulsions import ExpelSpec
from van.errors import LocalError

app = typer.Typer(help="Tokens that this site minted.", cls=Group, no_args_is_help=True)


@app.command("list", cls=Command)
def list_all(json: Json = False, site: Site = None) -> None:
    """List the tokens, and who used them."""
    tokens = open_client(site).tokens()
    if json:
        print_json(tokens)
    else:
        from van.cli.render.status import tokens_section

        print_sections([tokens_section(tokens)])


@app.command(cls=Command)
def revoke(
    token: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="As 'van token list' shows it.", autocompletion=complete_token
        ),
    ],
    with_sites: Annotated[
        bool, typer.Option("--with-sites", help="Expel the sites that it has let in, too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    site: Site = None,
) -> None:
    """Make a token worthless; sites that it let in already stay, unless told otherwise."""
    client = open_client(site)
    used_by = next((each.used_by for each in client.tokens() if each.id == token), ())
    if with_sites and used_by and not yes:
        sites = printable(", ".join(used_by))
        if not confirm(f"expel {sites} from the VAN, for good?"):
            raise LocalError("nothing is changed, as nobody has said yes")
    print_outcome(f"token {token}", client.revoke_token(token))
    if with_sites:
        for each in used_by:
            client.expel(ExpelSpec(site=each, reason=f"let in by token {token}"))
            typer.echo(f"site {each!r} is expelled")
