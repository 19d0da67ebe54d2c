"""`van expose` and `van unexpose`: the targets of addresses."""

import time
from typing import Annotated, Final

import msgspec
import typer

from van.cli.completion import complete_check, complete_exposed, complete_sources
from van.cli.options import ADDRESS_HELP, Protocol, Site, open_client, print_outcome
from van.cli.render.humanize import format_count, parse_seconds
from van.config import MAX_CONNECT_TIMEOUT, MIN_CONNECT_TIMEOUT, Check, check_protocol
from van.control.client import ControlClient
from van.control.values.attachments import ConnectorSpec
from van.names import Address, parse_target
from van.policy import check_sources, read_sources
from van.wire.lsa import DEFAULT_PRECEDENCE, DEFAULT_WEIGHT, MAX_PRECEDENCE, MAX_WEIGHT

DRAIN_INTERVAL: Final = 0.2
"""Seconds between two looks at how many flows are left."""


def expose(
    protocol: Protocol,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help=ADDRESS_HELP)],
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT|unix:PATH",
            help="Where the process listens: the target that the address has, or else its port on "
            "this machine, unless told. May be given more than once; behind every address of a "
            "host name there is an instance.",
        ),
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Attach the target beside those that the address has.")
    ] = False,
    weight: Annotated[
        int,
        typer.Option(
            min=1, max=MAX_WEIGHT, metavar="N", help="How much of the work it gets beside others."
        ),
    ] = DEFAULT_WEIGHT,
    precedence: Annotated[
        int,
        typer.Option(
            min=0,
            max=MAX_PRECEDENCE,
            metavar="N",
            help="It is used only when nothing of a higher precedence is left.",
        ),
    ] = DEFAULT_PRECEDENCE,
    closest: Annotated[
        bool, typer.Option("--closest", help="Flows go to the nearest site, however busy it is.")
    ] = False,
    multicast: Annotated[
        bool,
        typer.Option("--multicast", help="Every target, at whatever site, gets what clients send."),
    ] = False,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="tcp|http:/PATH",
            help="Look every two seconds whether the target is well.",
            autocompletion=complete_check,
        ),
    ] = None,
    connect_timeout: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long it may take to accept a connection where no other instance could "
            "have it, such as 10s; as long as the system waits unless told.",
        ),
    ] = None,
    proxy_protocol: Annotated[
        bool,
        typer.Option(
            "--proxy-protocol",
            help="TCP: begin each connection to the target with a header that says who the client "
            "is, and at which site (PROXY protocol, version 2).",
        ),
    ] = False,
    join: Annotated[
        bool,
        typer.Option("--join", help="Serve it beside other sites that serve it already."),
    ] = False,
    allow_from: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-from",
            metavar="SITES",
            help="Which sites may reach it: names, patterns such as 'laptop-*', and tags such as "
            "'tag:prod', with commas. It stays until it is said again; '' is for all.",
            autocompletion=complete_sources,
        ),
    ] = None,
    site: Site = None,
) -> None:
    """Attach a local server to an address.

    Every site of the network then reaches it by that name. With --join, others may serve the same
    address: each flow goes to the one that is to answer it soonest.

    Said again in other words, it changes what was said before, and no live flow is lost: an option
    that is left out is as if it had never been given, but for the target and --allow-from.
    """
    if add and not target:
        raise typer.BadParameter("--add is for a target: say with --target which")
    asked = ConnectorSpec(
        protocol=check_protocol(protocol),
        address=str(Address.parse(address)),
        distribution=_distribution(closest=closest, multicast=multicast),
        weight=weight,
        precedence=precedence,
        join=join,
        check=None if check is None else str(Check.parse(check)),
        connect_timeout=_parse_connect_timeout(protocol, connect_timeout),
        proxy_protocol=_check_proxy_protocol(protocol, is_wanted=proxy_protocol),
        allow_from=None if allow_from is None else _read_allowed(allow_from),
    )
    if multicast and protocol == "http":
        raise typer.BadParameter("--multicast is not for http: a request has one answer")
    wanted = [str(parse_target(each)) for each in target or ()]
    client = open_client(site)
    there = _attached(client, asked)
    for place in wanted or list(there) or [str(parse_target(str(Address.parse(address).port)))]:
        created = client.add_connector(msgspec.structs.replace(asked, target=place))
        print_outcome(f"{asked.protocol} {asked.address} leads to {place}", created)
    for place, flows in there.items():
        if wanted and place not in wanted and not add:
            removed = client.delete_connector(msgspec.structs.replace(asked, target=place))
            left = f", but for {format_count(flows, 'live flow')}" if flows else ""
            subject = f"{asked.protocol} {asked.address} leads to {place} no more{left}"
            print_outcome(subject, removed)


def _attached(client: ControlClient, spec: ConnectorSpec) -> dict[str, int]:
    """Return the targets that an address has, with how many flows each has."""
    return {
        each.target: each.flows
        for each in client.status().connectors
        if (each.protocol, each.address) == (spec.protocol, spec.address)
        and each.state != "draining"
    }


def unexpose(
    protocol: Protocol,
    address: Annotated[
        str,
        typer.Argument(metavar="ADDRESS", help=ADDRESS_HELP, autocompletion=complete_exposed),
    ],
    target: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT|unix:PATH", help="Detach this target only."),
    ] = None,
    drain: Annotated[
        bool, typer.Option("--drain", help="Wait until the flows that are live have ended.")
    ] = False,
    site: Site = None,
) -> None:
    """Detach local servers from an address.

    No new flow arrives; those that are live go on.
    """
    spec = ConnectorSpec(
        protocol=check_protocol(protocol),
        address=str(Address.parse(address)),
        target=_target(target),
    )
    client = open_client(site)
    removed = client.delete_connector(spec)
    if drain:
        _wait_until_drained(client, spec)
    print_outcome(f"{spec.protocol} {spec.address} at {spec.target or 'every target'}", removed)


def _distribution(*, closest: bool, multicast: bool) -> str:
    if closest and multicast:
        raise typer.BadParameter(
            "--closest and --multicast exclude each other: one site gets a flow, or all of them do"
        )
    return "closest" if closest else "multicast" if multicast else "balanced"


def _read_allowed(texts: list[str]) -> tuple[str, ...]:
    return check_sources(word for each in texts if each for word in read_sources(each))


def _parse_connect_timeout(protocol: str, text: str | None) -> float | None:
    if text is None:
        return None
    if protocol == "udp":
        raise typer.BadParameter(
            "--connect-timeout is for tcp and http: over udp nothing is connected"
        )
    seconds = parse_seconds(text)
    low, high = MIN_CONNECT_TIMEOUT, MAX_CONNECT_TIMEOUT
    if not low <= seconds <= high:
        raise typer.BadParameter(
            f"connect timeout {text!r} is not valid: use {low:g} to {high:g} seconds"
        )
    return seconds


def _check_proxy_protocol(protocol: str, *, is_wanted: bool) -> bool:
    if is_wanted and protocol != "tcp":
        raise typer.BadParameter(f"--proxy-protocol is for tcp: over {protocol} no header is sent")
    return is_wanted


def _wait_until_drained(client: ControlClient, spec: ConnectorSpec) -> None:
    """Wait for the flows of a target, and tell how many there are still."""
    told = 0
    while flows := _flows_left(client, spec):
        if flows != told:
            typer.echo(f"{format_count(flows, 'flow')} left", err=True)
            told = flows
        time.sleep(DRAIN_INTERVAL)


def _flows_left(client: ControlClient, spec: ConnectorSpec) -> int:
    return sum(
        each.flows
        for each in client.status().connectors
        if each.state == "draining"
        and (each.protocol, each.address) == (spec.protocol, spec.address)
        and spec.target in (None, each.target)
    )


def _target(text: str | None) -> str | None:
    """Return a target in full: `8080` is `localhost:8080`."""
    return None if text is None else str(parse_target(text))
