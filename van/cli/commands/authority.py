"""`van authority`: who holds the VAN's root, and that it is not lost."""

import codecs
import getpass
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from van.cli.completion import complete_known_site
from van.cli.help import Command, Group
from van.cli.options import Json, Site, confirm, open_client, print_json, print_outcome
from van.cli.render.humanize import printable
from van.cli.render.printing import print_sections
from van.control.values.authority import AuthorityGrantSpec, AuthorityRestore, RootRollSpec
from van.errors import AlreadyExists, LocalError, NotFound
from van.files import read_bytes, write_atomic
from van.paths import choose_site, site_paths
from van.sites import back_up_authority, open_back_up

app = typer.Typer(
    help="The authority of the VAN: its root, and those below.", cls=Group, no_args_is_help=True
)

MAX_FILE: Final = 64 * 1024
"""Largest back-up, and largest passphrase file, in bytes."""

BackUpFile = Annotated[Path, typer.Argument(metavar="FILE", help="The back-up.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Take the passphrase from this file's first line, and don't ask."
    ),
]


@app.command(cls=Command)
def show(json: Json = False, site: Site = None) -> None:
    """Show who holds the root of the VAN, and who an authority below it.

    An authority lets sites in, renews their certificates, and can expel whom it has let in; the
    root can expel everybody.
    """
    found = open_client(site).authorities()
    if json:
        print_json(found)
        return
    from van.cli.render.authority import authority_sections

    print_sections(authority_sections(found))


@app.command(cls=Command)
def grant(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SITE",
            help="Whose authority is to be second.",
            autocompletion=complete_known_site,
        ),
    ],
    site: Site = None,
) -> None:
    """Make another site's authority second to the root: the VAN outlives the root's machine.

    The site lets in and renews everybody from then on, for as long as the root is valid, also when
    the root is lost; and it can expel whom it has let in or renewed. No key travels. To take it
    back, expel the site.
    """
    outcome = open_client(site).grant_authority(AuthorityGrantSpec(site=name))
    print_outcome(f"authority of site {name!r}", outcome)


@app.command(cls=Command)
def roll(
    finish: Annotated[
        bool,
        typer.Option(
            "--finish", help="Put the old root out now, whether or not all sites have followed."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json: Json = False,
    site: Site = None,
) -> None:
    """Replace the root under the running VAN, whose id stays what it is.

    The old root makes a new one its successor, both count while all sites have their certificates
    renewed, and no flow is lost. The old one counts no more by itself once a site that is away has
    had the time to come back; or at once with --finish, where it may have been stolen: who has not
    followed by then needs a new token. A new back-up has to be made.
    """
    client = open_client(site)
    spec = RootRollSpec(finish=finish)
    if not yes:
        pending = client.roll_root(RootRollSpec(finish=finish, is_trial=True)).pending
        if finish and pending:
            lost = printable(", ".join(pending))
            typer.echo(f"sites that have not followed, and will need a new token: {lost}", err=json)
        question = "put the old root out" if finish else "replace the root of the VAN by a new one"
        if not confirm(f"{question}, for good?", err=json):
            kept = "put out" if finish else "replaced"
            raise LocalError(f"the old root is not {kept}, as nobody has said yes")
    outcome = client.roll_root(spec)
    if json:
        print_json(outcome)
    elif finish:
        typer.echo("the old root is out: only what rests on the new one counts")
    else:
        typer.echo(
            "the root is being replaced: 'van authority show' says who has followed; back the new "
            "one up, as the back-up of the old one is worth nothing soon"
        )


@app.command("back-up", cls=Command)
def back_up(
    file: BackUpFile,
    passphrase_file: PassphraseFile = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
    site: Site = None,
) -> None:
    """Write the root of the VAN to one file, which a passphrase opens.

    With the root's machine the root is lost, and some weeks later the VAN. Keep the file and the
    passphrase apart, and neither of them on that machine.
    """
    if file.exists() and not force:
        raise AlreadyExists(f"file {file} exists: choose another, or use --force to replace it")
    paths = site_paths(choose_site(site))
    text = back_up_authority(paths, lambda: _passphrase(passphrase_file, is_new=True))
    write_atomic(file, text.encode(), mode=0o600)
    typer.echo(f"the root of the VAN is in {file}: only its passphrase opens it")


@app.command(cls=Command)
def restore(file: BackUpFile, passphrase_file: PassphraseFile = None, site: Site = None) -> None:
    """Make a site hold the root of the VAN, from a back-up.

    The site is one of the VAN, or a new one, made with 'van init', which comes into the VAN by
    that. From then on it can let in, renew, and expel every site, as the one before could.
    """
    client = open_client(site)
    client.authorities()  # or the passphrase is asked for in vain
    text = _read(file, "back-up").decode(errors="replace")
    fields = open_back_up(text, lambda: _passphrase(passphrase_file, is_new=False))
    outcome = client.restore_authority(AuthorityRestore(**fields))
    typer.echo(f"site {client.site!r} holds the root of VAN {outcome.van}")
    if outcome.joined:
        typer.echo(
            "it is new in that VAN: link it to the others, by tokens that it mints "
            "('van link create') and they accept, or the other way round"
        )


def _passphrase(file: Path | None, *, is_new: bool) -> str:
    """Return a passphrase from a file, or as it is typed, twice if it is new."""
    if file is not None:
        # Some editors put a mark before the text, or another one at the end of each line.
        line = _read(file, "passphrase").removeprefix(codecs.BOM_UTF8).split(b"\n")[0]
        return line.removesuffix(b"\r").decode(errors="surrogateescape")
    if not has_terminal():
        raise LocalError("there is no terminal to ask for the passphrase: use --passphrase-file")
    passphrase = getpass.getpass("passphrase of the back-up: ")
    if is_new and getpass.getpass("the same again: ") != passphrase:
        raise LocalError("the two passphrases differ: nothing is written")
    return passphrase


def has_terminal() -> bool:
    """Tell whether there is somebody to type a passphrase."""
    return sys.stdin.isatty()


def _read(file: Path, what: str) -> bytes:
    data = read_bytes(file, limit=MAX_FILE)
    if data is None:
        raise NotFound(f"there is no {what} file {file}")
    return data
