"""What is wrong at a site: a summary in a line, and what somebody should look at."""

from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from van.cli.render.humanize import format_count, format_duration
from van.cli.render.tables import BAD, GOOD, WARN, Cell, Section
from van.control.values.status import AddressStatus, RouterStatus, Status

SOON: Final = 3600.0
"""A certificate with less than this many seconds left should have been renewed, or with less than a
sixth of its life, if that is less."""
SHOWN: Final = 20
"""Troubles in a table; the tables of what they are about have all."""


@attrs.frozen
class Trouble:
    """One thing that is not as it should be."""

    kind: str
    """What it is about: `link`, `site`, `connector`, and so on."""
    name: str
    state: str
    why: str = ""
    tone: str = BAD


def find_troubles(status: Status) -> list[Trouble]:
    """Return what is wrong, the worst first."""
    found = [
        *_of_membership(status),
        *_of_router(status.router),
        *_of_link_port(status.router),
        *_of_links(status),
        *_of_attachments(status),
        *_of_addresses(status),
        *(
            Trouble("site", site.site, "unreachable", "no path leads to it")
            for site in status.sites
            if site.next_hop is None
        ),
    ]
    return sorted(found, key=lambda each: each.tone != BAD)


def summary_section(status: Status, troubles: Sequence[Trouble]) -> Section:
    """Return how the site is, and how much of everything there is, in a line."""
    links = sum(link.state == "up" for link in status.links)
    sites = sum(site.next_hop is not None for site in status.sites)
    facts = (
        f"up {format_duration(status.router.uptime)}",
        _of(links, len(status.links), "link", "up"),
        _of(sites, len(status.sites), "site", "reached"),
        format_count(len(status.connectors), "connector"),
        format_count(len(status.listeners), "listener"),
        format_count(status.flows_total, "flow"),
    )
    how = format_count(len(troubles), "trouble") if troubles else "well"
    return Section(
        f"{status.router.site}: {how}; {', '.join(facts)}",
        (),
        [],
        tone=troubles[0].tone if troubles else GOOD,
    )


def trouble_section(troubles: Sequence[Trouble]) -> Section:
    """Return what is wrong as a table."""
    more = len(troubles) - SHOWN
    return Section(
        "Trouble",
        ("WHAT", "NAME", "STATE", "WHY"),
        [
            (Cell(each.kind), Cell(each.name), Cell(each.state, each.tone), Cell(each.why))
            for each in troubles[:SHOWN]
        ],
        note=f"and {more} more" if more > 0 else "",
    )


def _of(count: int, total: int, noun: str, state: str) -> str:
    """Return how many of all are as they should be: `3 links up`, `1 of 3 links up`."""
    if count == total:
        return f"{format_count(total, noun)} {state}" if total else f"no {noun}s"
    return f"{count} of {format_count(total, noun)} {state}"


def _of_link_port(router: RouterStatus) -> Iterator[Trouble]:
    if router.listen_failure:
        yield Trouble("link port", router.site, "not open", router.listen_failure)


def _of_membership(status: Status) -> Iterator[Trouble]:
    router = status.router
    if router.excluded:
        yield Trouble("site", router.site, "out", router.excluded)
    elif router.is_behind:
        is_linked = any(link.state == "up" for link in status.links)
        why = "the root of the VAN was replaced, and its certificate rests on the one before: " + (
            "it asks for another one"
            if is_linked
            else "if no link comes up, the old one is out, and it has to accept a new token"
        )
        yield Trouble("certificate", router.site, "old root", why, WARN if is_linked else BAD)
    for pair in status.both_out:
        why = (
            "they have expelled each other: the root, or an authority nearer to it, expels the one "
            "that is in wrong hands, and the other one is a member again"
        )
        yield Trouble("authority", ", ".join(pair), "both out", why)


def _of_router(router: RouterStatus) -> Iterator[Trouble]:
    if router.is_stopping:
        why = (
            "it takes no new flows, and ends with those that are live, or when their grace is over"
        )
        yield Trouble("router", router.site, "stopping", why, WARN)
    left = router.certificate_expires_in
    if left <= 0:
        why = "other sites take it for nobody: accept a new token"
        yield Trouble("certificate", router.site, "expired", why)
    elif expires_soon(router):
        renewal = "it is not renewed" if router.is_ephemeral else "no other site has renewed it"
        why = f"{format_duration(left)} left: {renewal}"
        yield Trouble("certificate", router.site, "expires soon", why, WARN)
    if router.transit == "drained":
        why = "nothing is sent through this site until 'van site undrain'"
        yield Trouble("transit", router.site, "drained", why, WARN)
    if why := router.congestion_failure:
        yield Trouble("congestion", router.congestion_chosen, "not used", why, WARN)


def expires_soon(router: RouterStatus) -> bool:
    """Tell whether a certificate should have been renewed by now."""
    return router.certificate_expires_in < min(SOON, router.certificate_life / 6)


def _of_links(status: Status) -> Iterator[Trouble]:
    for link in status.links:
        if link.state != "up":
            tone = BAD if link.state == "down" else WARN
            yield Trouble("link", link.neighbor, link.state, link.detail, tone)


def _of_attachments(status: Status) -> Iterator[Trouble]:
    """Yield what does not work, and what works but has refused the last that came."""
    for connector in status.connectors:
        if connector.state not in {"ready", "draining"}:
            name = f"{connector.protocol} {connector.address}"
            why = f"{connector.target}: {connector.detail}"
            tone = WARN if connector.state in {"slow", "unknown"} else BAD
            yield Trouble("connector", name, connector.state, why, tone)
    for listener in status.listeners:
        if listener.state != "open" or listener.detail:
            name = f"{listener.protocol} {listener.address}"
            why = f"{listener.listen}: {listener.detail}"
            tone = WARN if listener.state in {"open", "waiting"} else BAD
            yield Trouble("listener", name, listener.state, why, tone)


def _of_addresses(status: Status) -> Iterator[Trouble]:
    # What is attached here has told why already.
    here = {(each.protocol, each.address) for each in status.listeners}
    here |= {(each.protocol, each.address) for each in status.connectors}
    for each in status.addresses:
        name = f"{each.protocol} {each.address}"
        if not each.served_at and (each.protocol, each.address) not in here:
            yield Trouble("address", name, "nowhere", _who_waits(each), WARN)
        elif each.dissenters:
            why = f"exposed otherwise at {', '.join(each.dissenters)}"
            yield Trouble("address", name, "disputed", why, WARN)


def _who_waits(address: AddressStatus) -> str:
    bound_at = f": it is bound at {', '.join(address.bound_at)}" if address.bound_at else ""
    return f"no site that can be reached serves it{bound_at}"
