"""`van site`: the sites of this machine."""

import re
from collections.abc import Iterator
from typing import Annotated, Final

import typer
from msgspec.structs import replace

from van.cli.completion import complete_name, complete_site
from van.cli.help import Command, Group
from van.cli.options import Json, Site, confirm, open_client, print_json, print_outcome
from van.cli.process import holds_lock, stop_router
from van.cli.render.humanize import printable
from van.cli.render.printing import print_sections
from van.cli.render.sites import LocalSite, expulsions_section, local_sites_section
from van.control.client import ControlClient
from van.control.values.expulsions import (
    KEY_PATTERN,
    MAX_REASON,
    Expelled,
    ExpelSpec,
    ForgetSpec,
)
from van.control.values.maintenance import DrainSpec
from van.errors import InvalidValue, LocalError, RouterDown, RouterRunning, SiteMissing, VanError
from van.names import check_site_name
from van.paths import SitePaths, list_sites, site_paths
from van.sites import delete_site_files

app = typer.Typer(help="The sites of this machine.", cls=Group, no_args_is_help=True)

QUICK: Final = 2.0
"""Longest wait in seconds for each router that a list asks."""
UNTIL_SETTLED: Final = "until the root, or an authority nearer to it, expels one of them"


@app.command("list", cls=Command)
def list_all(json: Json = False) -> None:
    """List the sites, and whether their routers run."""
    found = [_describe(site) for site in list_sites()]
    if json:
        print_json(found)
    else:
        print_sections([local_sites_section(found)])


def _describe(site: str) -> LocalSite:
    config = str(site_paths(site).config_file)
    try:
        status = ControlClient(site, timeout=QUICK).status()
    except RouterDown:
        return LocalSite(site=site, router="down", van=None, config=config)
    except VanError:
        return LocalSite(site=site, router="no answer", van=None, config=config)
    return LocalSite(site=site, router="running", van=status.router.van, config=config)


@app.command(cls=Command)
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The site.", autocompletion=complete_name),
    ],
    json: Json = False,
    site: Site = None,
) -> None:
    """Show who a site of the VAN is: its key, tags, and grants, and who let it in and when."""
    found = open_client(site).show_site(name)
    if json:
        print_json(found)
        return
    from van.cli.render.site import site_sections

    print_sections(site_sections(found))


@app.command(cls=Command)
def delete(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The site.", autocompletion=complete_site)
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Stop the router first, by any means.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete a site of this machine, with its keys.

    With --force, a router that runs tells the network first, which forgets the site at once: its
    name is free for another one. Where the router does not run, the network keeps the name for it.
    """
    paths = site_paths(check_site_name(name))
    if not paths.state_dir.exists() and not paths.config_dir.exists():
        raise SiteMissing(f"site {name!r} is not set up here: 'van site list' says what is")
    if holds_lock(name) and not force:
        raise RouterRunning(
            f"router of site {name!r} is running: stop it with 'van down --site {name}' first, "
            "or use --force"
        )
    if not yes and not confirm(f"delete site {name!r} with its keys, for good?"):
        raise LocalError(f"site {name!r} is not deleted, as nobody has said yes")
    was_told = stop_router(name, force=force, is_for_good=True)
    may_be_known = not was_told and _may_be_known(paths)
    delete_site_files(paths)
    typer.echo(f"site {name!r} is deleted")
    if may_be_known:
        typer.echo(
            "its router was not running: the network was not told, and keeps the name for its key, "
            f"until 'van site forget {name}' at the site that made the VAN",
            err=True,
        )


def _may_be_known(paths: SitePaths) -> bool:
    """Tell whether a site seems to have been in a network with others."""
    from van.config.file import load_config

    try:
        has_links = bool(load_config(paths.config_file).links)
    except VanError:  # it is being deleted, whatever its files say
        has_links = False
    return has_links or paths.tokens_dir.exists()


@app.command(cls=Command)
def expel(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The site.", autocompletion=complete_name),
    ],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Told everywhere, also to the site.")
    ] = "",
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="SHA256",
            help="Of its key, where the site is known by its name no more.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json: Json = False,
    site: Site = None,
) -> None:
    """Put a site out of the VAN, everywhere and for good.

    Its links, flows, and addresses end within a second at every site that can be reached; others
    hear of it before anything else when they are back. Whom it let in goes with it. The name is
    free again: a new site of that name, with a new key, may be let in by a new token.

    The root may expel every site; an inviting site may expel those below it, and others that may
    invite and are no nearer to the root. Of two that expel each other the one nearer to the root
    stays; of two as near, both are out, until one nearer expels one of them.
    """
    if len(reason) > MAX_REASON:
        raise InvalidValue(
            f"a reason of {len(reason)} characters is too long: use {MAX_REASON} at most"
        )
    client = open_client(site)
    spec = ExpelSpec(site=name, key=_checked_key(key), reason=reason)
    outcome = client.expel(replace(spec, is_trial=True))
    if outcome.is_new:
        for line in _consequences(outcome):
            typer.echo(line, err=json)
        if not yes and not confirm(f"expel site {name!r}, for good?", err=json):
            raise LocalError(f"site {name!r} is not expelled, as nobody has said yes")
        outcome = client.expel(spec)
    if json:
        print_json(outcome)
    elif outcome.has_answered:
        typer.echo(f"site {name!r} is expelled, as this site is by it: both are out")
    else:
        typer.echo(f"site {name!r} is expelled" + ("" if outcome.is_new else " already"))


def _checked_key(key: str | None) -> str | None:
    """Return the hash of a key unchanged, or raise `InvalidValue`."""
    if key is None or re.fullmatch(KEY_PATTERN, key):
        return key
    raise InvalidValue(
        f"key {key!r} is not valid: give all its 64 digits, as 'van site show' and 'van site "
        "expelled --json' print them"
    )


def _consequences(outcome: Expelled) -> Iterator[str]:
    if outcome.invited:
        yield f"whom it let in goes with it: {printable(', '.join(outcome.invited))}"
    if outcome.has_answered:
        yield (
            f"it has expelled this site: with this, both are out, {UNTIL_SETTLED}; where that is "
            "known already, nobody listens to this site"
        )
    elif outcome.may_answer:
        yield (
            "its authority is as near to the root as this site's: it may expel this site in turn, "
            f"and both are out then, with all whom they let in, {UNTIL_SETTLED}"
        )
    if outcome.readmitted:
        back = printable(", ".join(outcome.readmitted))
        yield f"whom it had expelled is a member again; expel them here, if that was right: {back}"
    if outcome.unheard:
        yield f"no other site hears of it now: {printable(outcome.unheard)}"
    if outcome.unreachable:
        lost = printable(", ".join(outcome.unreachable))
        yield f"sites that can be reached only through it: {lost}"


@app.command(cls=Command)
def forget(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The site.", autocompletion=complete_name),
    ],
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="SHA256", help="Of its key, where several are known by the name."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json: Json = False,
    site: Site = None,
) -> None:
    """Free the name of a site whose key is lost, as its machine was wiped.

    Every site keeps a name for the key that it has first seen with it. From now on that key is not
    let in any more, and a new site may have the name, by any token. Whom the site had let in
    stays. A token made with --for NAME --replaces does both at once.
    """
    client = open_client(site)
    spec = ForgetSpec(site=name, key=_checked_key(key))
    outcome = client.forget(replace(spec, is_trial=True))
    if outcome.is_new:
        seen = (
            ""
            if outcome.seen is None
            else f", and was last there on {outcome.seen.astimezone():%F %T}"
        )
        typer.echo(f"site {name!r} has key {outcome.key[:16]}…{seen}", err=json)
        if not yes and not confirm(f"give that key up, for good, and free {name!r}?", err=json):
            raise LocalError(f"site {name!r} is not forgotten, as nobody has said yes")
        outcome = client.forget(spec)
    if json:
        print_json(outcome)
    else:
        state = "is forgotten" if outcome.is_new else "is forgotten already"
        typer.echo(f"site {name!r} {state}: its name is free for another key")


@app.command(cls=Command)
def expelled(json: Json = False, site: Site = None) -> None:
    """List the sites that were put out of the VAN."""
    found = open_client(site).expulsions()
    if json:
        print_json(found)
    else:
        print_sections([expulsions_section(found)])


@app.command(cls=Command)
def drain(
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Leave to others what the site serves, too."),
    ] = False,
    site: Site = None,
) -> None:
    """Let nothing be sent through a site, before maintenance.

    What is under way goes on, and the site's own flows too; other sites find other paths. It
    lasts until 'van site undrain'.
    """
    client = open_client(site)
    print_outcome(f"site {client.site!r}", client.drain(DrainSpec(serve=serve)))


@app.command(cls=Command)
def undrain(site: Site = None) -> None:
    """Let others send through a site again."""
    client = open_client(site)
    print_outcome(f"site {client.site!r}", client.undrain())
