"""What the shell offers on Tab: names that this machine and its routers know.

Completion never fails: with no site or no router there is nothing to offer.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import typer

from van.config import PROTOCOLS
from van.control.client import ControlClient
from van.errors import VanError
from van.paths import choose_site, list_sites
from van.policy import TAG_PREFIX

TIMEOUT: Final = 1.0
"""Longest wait for a router in seconds: a person holds the Tab key."""


def complete_site(incomplete: str) -> list[str]:
    """Offer the sites of this machine."""
    return _starting(list_sites(), incomplete)


def complete_command(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the commands, or those of the group that is named already."""
    command: Any = ctx.find_root().command
    for word in ctx.params.get("words") or ():
        command = getattr(command, "commands", {}).get(word)
    return _starting(getattr(command, "commands", {}), incomplete)


def complete_check(incomplete: str) -> list[str]:
    """Offer the ways to look at a target."""
    return _starting(["tcp", "http:/"], incomplete)


def complete_protocol(incomplete: str) -> list[str]:
    """Offer the protocols."""
    return _starting(PROTOCOLS, incomplete)


def complete_cost(incomplete: str) -> list[str]:
    """Offer the one cost that is a word."""
    return _starting(["auto"], incomplete)


def complete_neighbor(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the neighbours that the site has a link with."""
    return _ask(ctx, incomplete, lambda client: (link.neighbor for link in client.status().links))


def complete_address(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the addresses of the network."""
    return _ask(ctx, incomplete, lambda client: (a.address for a in client.status().addresses))


def complete_known_site(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the sites of the network."""
    return _ask(ctx, incomplete, lambda client: (each.site for each in client.status().sites))


def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the sites that are known, also those that are away or out."""
    return _ask(ctx, incomplete, lambda client: client.site_names())


def complete_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the sites that are known, also those that are away or out, to a list of them."""
    before, comma, word = incomplete.rpartition(",")
    return [f"{before}{comma}{each}" for each in complete_name(ctx, word)]


def complete_sources(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the sites of the network to a list of them, and what tags begin with."""
    before, comma, word = incomplete.rpartition(",")
    found = [*complete_known_site(ctx, word), *_starting([TAG_PREFIX], word)]
    return [f"{before}{comma}{each}" for each in found]


def complete_target(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer what a path can be traced to: addresses that are served, and sites."""
    return _ask(ctx, incomplete, _targets)


def complete_exposed(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the addresses that the site exposes."""
    return _ask(ctx, incomplete, lambda client: (c.address for c in client.status().connectors))


def complete_bound(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the addresses that the site binds."""
    return _ask(ctx, incomplete, lambda client: (x.address for x in client.status().listeners))


def complete_token(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the tokens that can still be used."""
    return _ask(
        ctx,
        incomplete,
        lambda client: (token.id for token in client.tokens() if token.state == "valid"),
    )


def _targets(client: ControlClient) -> list[str]:
    status = client.status()
    served = [each.address for each in status.addresses if each.served_at]
    return [*served, *(each.site for each in status.sites)]


def site_option(ctx: typer.Context) -> str | None:
    """Return what --site says on the command or, failing that, before it."""
    value = ctx.params.get("site") or ctx.find_root().params.get("site")
    return value if isinstance(value, str) else None


def _ask(
    ctx: typer.Context, incomplete: str, ask: Callable[[ControlClient], Iterable[str]]
) -> list[str]:
    try:
        client = ControlClient(choose_site(site_option(ctx)), timeout=TIMEOUT)
        return _starting(ask(client), incomplete)
    except VanError:
        return []


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
