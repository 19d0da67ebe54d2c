"""`van token`: the tokens that this site minted."""

from typing import Annotated

import typer

from van.cli.completion import complete_token
from van.cli.help import Command, Group
from van.cli.options import Json, Site, open_client, print_json, print_outcome
from van.cli.render.printing import print_sections

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
    site: Site = None,
) -> None:
    """Make a token worthless; sites that it let in already stay."""
    print_outcome(f"token {token}", open_client(site).revoke_token(token))
