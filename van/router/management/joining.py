"""Serving an address that other sites serve already, which takes flows away from them.

A slip of a name must not do that: who did not say that it is meant is told who serves the address,
and what share this site would take.
"""

from typing import Final

from van.config import ConnectorConfig
from van.errors import AlreadyExists
from van.routing.paths.fib import Fib
from van.wire.lsa import Distribution, Service

MAX_NAMED: Final = 3
"""Sites that are named one by one."""


def others_serving(fib: Fib, config: ConnectorConfig) -> dict[str, Service]:
    """Return the other sites that can be reached and serve an address, with their terms."""
    key = (config.protocol, str(config.address))
    pairs = zip(fib.services.get(key, ()), fib.terms.get(key, ()), strict=True)
    return {site: terms for site, terms in pairs if site != fib.site}


def check_joins(fib: Fib, config: ConnectorConfig) -> None:
    """Raise `AlreadyExists` when to serve an address here would take flows from other sites."""
    others = others_serving(fib, config)
    if others and _takes_flows(fib, config, others):
        raise AlreadyExists(
            f"{config.protocol} {config.address} is served at {_named(others)} already, and this "
            f"site would get {describe_share(fib, config, others)}: use --join if that is meant"
        )


def describe_share(fib: Fib, config: ConnectorConfig, others: dict[str, Service]) -> str:
    """Return what comes to a target here that is served beside others."""
    distribution = fib.distribution((config.protocol, str(config.address)))
    if distribution is Distribution.MULTICAST:
        return "a copy of all that clients send"
    top = max(terms.precedence for terms in others.values())
    if config.precedence < top:
        return "no flows while one of a higher precedence is left"
    if config.precedence > top:
        return "all new flows, as its precedence is higher"
    if distribution is Distribution.CLOSEST:
        return "the new flows that begin nearer to it"
    weights = sum(terms.weight for terms in others.values() if terms.precedence == top)
    share = 100 * config.weight / (config.weight + weights)
    return f"about {max(1, round(share))} % of the new flows"


def describe_joining(fib: Fib, config: ConnectorConfig) -> str:
    """Return who else serves an address, and what comes here; or nothing if nobody else does."""
    others = others_serving(fib, config)
    if not others:
        return ""
    return f"served at {_named(others)} too: here comes {describe_share(fib, config, others)}"


def _takes_flows(fib: Fib, config: ConnectorConfig, others: dict[str, Service]) -> bool:
    """Tell whether others get less. A reserve takes nothing, nor does another copy."""
    distribution = fib.distribution((config.protocol, str(config.address)))
    if Distribution.MULTICAST is distribution is config.distribution:
        return False
    return config.precedence >= max(terms.precedence for terms in others.values())


def _named(others: dict[str, Service]) -> str:
    names = [f"{site!r}" for site in sorted(others)]
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    noun = "site" if len(names) == 1 else "sites"
    return f"{noun} {', '.join(names[:MAX_NAMED])}{more}"
