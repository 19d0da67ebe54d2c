"""Two routers that run with the keys of one site, as those of a machine and its clone: the one that
has run the longer keeps its links, and the other is told what to do.

A router that was killed and started anew is no copy: its old links are dead, which an answer that
does not come shows.
"""

from typing import Final

from van.errors import LinkLost
from van.router.links.link import Link, decline
from van.router.telemetry.events import EventKind, EventLog
from van.wire.link import CopyFound, Hello

ANSWER_TIMEOUT: Final = 2.0
"""Seconds in which a router that lives answers over the link that it has, however busy it is; less
than it takes for the other side to miss our hello."""
QUICK_TIMEOUT: Final = 0.5
"""The same for a link that its own router dials anew, which is to be there again soon."""


async def has_ended(present: Link, newcomer: Link) -> bool:
    """Tell whether the link there is can make way for a new one: nobody answers over it."""
    is_same = present.hello.run == newcomer.hello.run
    return not await present.answers(QUICK_TIMEOUT if is_same else ANSWER_TIMEOUT)


def is_elder(first: Hello, second: Hello) -> bool:
    """Tell whether the router of the first hello has run the longer, as both say."""
    return 0.0 < first.started_at < second.started_at


def describe_copy(site: str, where: object) -> str:
    """Say to the younger of two routers what it is, and what to do."""
    return (
        f"another router with the keys of site {site!r} is running, at {where}, and has run for "
        f"longer: one machine is a copy of the other. At the copy, 'van site delete {site}', make "
        "a site of another name with 'van init', and accept a new token there"
    )


async def refuse_copy(present: Link, newcomer: Link, event_log: EventLog) -> None:
    """Refuse a link, and raise `LinkLost`; the router that keeps its own is told as well."""
    site = newcomer.neighbor
    present.send(CopyFound(newcomer.remote.host))
    await decline(newcomer.conversation, describe_copy(site, present.remote))
    tell_of_copy(event_log, site, present.remote, newcomer.remote.host, by=site)
    raise LinkLost(f"it has the keys of site {site!r}, which is at {present.remote}")


def tell_of_both(event_log: EventLog, site: str, *, makes_way: bool) -> None:
    """Record that two routers with one site's keys are in the network, unless that has been told of
    late."""
    text = (
        "this router and another with the same keys are in the network: one machine is a copy of "
        "the other. This one makes way, and has no links, as it has run for less long"
        if makes_way
        else "two routers with its keys are in the network: one machine is a copy of the other"
    )
    remedy = (
        f". At the copy, 'van site delete {site}', make a site of another name with 'van init', "
        "and accept a new token there"
    )
    about = "us" if makes_way else "network"
    event_log.record_rarely(EventKind.IDENTITY_SHARED, site, text + remedy, about=about)


def tell_of_copy(event_log: EventLog, site: str, kept: object, refused: object, *, by: str) -> None:
    """Record that there are two, unless the same site has said so of late."""
    text = (
        f"its router at {kept} keeps its links, and another with the same keys, at {refused}, is "
        f"refused: one machine is a copy of the other. At the copy, 'van site delete {site}', make "
        "a site of another name with 'van init', and accept a new token there"
    )
    event_log.record_rarely(EventKind.IDENTITY_SHARED, site, text, about=by)
