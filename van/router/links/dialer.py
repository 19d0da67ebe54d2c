"""Keeps the links that this site dials: tries again, with growing pauses, until each is up."""

import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Container
from typing import Final

import attrs
import trio

from van.config import LinkConfig
from van.errors import CertificateExpired, HostError, JoinRefused, RemoteError, RootReplaced
from van.names import Endpoint
from van.router.links.join_server import JoinServer
from van.router.links.returning import Returner
from van.router.reactor import connecting
from van.router.reactor.racing import AllFailed
from van.router.reactor.supervisor import Tasks
from van.router.site.trust import Trust
from van.router.telemetry.events import EventKind, EventLog
from van.tls.connection import TlsConnection
from van.wire.link import ALPN

logger = logging.getLogger(__name__)

MIN_BACKOFF: Final = 0.1
MAX_BACKOFF: Final = 3.0
"""Seconds between attempts to dial: a neighbour that returns is found within this time."""
ELSEWHERE: Final = "correct the addresses of the [[link]] in config.toml, or accept a new token"
"""What to do when an address leads to a router of another VAN."""
STEADY_AFTER: Final = 1.0
"""A link that lived this many seconds was a good one: the next attempt follows at once."""


@attrs.define(eq=False)
class Dialer:
    """A link that this site dials; `detail` says how it stands while it is down."""

    config: LinkConfig
    detail: str = "connecting"
    is_connecting: bool = True
    failure: str = ""
    """Why the last attempt came to nothing; empty after one that gave a link."""
    last_good: Endpoint | None = None
    """The address that gave the last link: it is tried first."""
    may_offer: bool = True
    """Whether a neighbour whose certificate has run out can be offered another in this attempt."""
    is_stopped: bool = False
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def endpoints(self, *, without: Container[Endpoint] = ()) -> list[Endpoint]:
        """Return the addresses in the order in which they are to be tried."""
        found = [each for each in dict.fromkeys(self.config.addresses) if each not in without]
        return sorted(found, key=lambda each: each != self.last_good)


class Dialers:
    """All dialers of a site, by neighbour. `converse` runs a link on a connection until it ends;
    `absent` waits until no link to a neighbour is up."""

    def __init__(
        self,
        trust: Trust,
        event_log: EventLog,
        tasks: Tasks,
        returner: Returner,
        join_server: JoinServer,
        *,
        converse: Callable[[TlsConnection, Endpoint, Dialer], Awaitable[None]],
        absent: Callable[[str], Awaitable[None]],
    ) -> None:
        self.by_neighbor: dict[str, Dialer] = {}
        self._held_until = -math.inf
        self._trust = trust
        self._event_log = event_log
        self._tasks = tasks
        self._returner = returner
        self._join_server = join_server
        self._converse = converse
        self._absent = absent

    def start(self, config: LinkConfig, *, first: Endpoint | None = None) -> None:
        """Keep a link from now on; `first` is the address to try first."""
        dialer = self.by_neighbor[config.site] = Dialer(config, last_good=first)
        self._tasks.start(self._keep, dialer)

    def stop(self, neighbor: str, *, is_carrying: bool) -> None:
        """Dial a neighbour no more; if the dialer carries the link, that goes on until closed."""
        dialer = self.by_neighbor.pop(neighbor, None)
        if dialer is not None:
            dialer.is_stopped = True
            if not is_carrying:
                dialer.scope.cancel()

    def adopt(self, config: LinkConfig) -> None:
        """Dial a link in another way the next time."""
        if config.site in self.by_neighbor:
            self.by_neighbor[config.site].config = config

    def hold_back(self, seconds: float) -> None:
        """Dial nobody for so long."""
        self._held_until = trio.current_time() + seconds

    async def _keep(self, dialer: Dialer) -> None:
        backoff = MIN_BACKOFF
        with dialer.scope:
            await self._absent(dialer.config.site)
            while not dialer.is_stopped:
                was_steady = await self._attempt(dialer)
                if was_steady:
                    backoff = MIN_BACKOFF
                await trio.sleep(backoff * random.uniform(0.75, 1.25))  # spreads only
                backoff = min(MAX_BACKOFF, backoff * 2)
                await self._absent(dialer.config.site)
                await trio.sleep_until(max(self._held_until, trio.current_time()))

    async def _attempt(self, dialer: Dialer) -> bool:
        """Try the addresses until one gives a link; return when that has ended.

        Tells whether it was a good one.
        """
        failures: dict[Endpoint, str] = {}
        dialer.may_offer = True
        while left := dialer.endpoints(without=failures):
            lived = await self._try(dialer, left, failures)
            if lived is not None:
                return lived > STEADY_AFTER
        dialer.is_connecting = False
        known = dict.fromkeys(dialer.config.addresses)
        dialer.detail = "; ".join(failures[each] for each in known if each in failures)
        logger.debug("link to %s: %s", dialer.config.site, dialer.detail)
        if dialer.detail != dialer.failure:
            dialer.failure = dialer.detail
            self._event_log.record(EventKind.LINK_FAILED, dialer.config.site, dialer.detail)
        return False

    async def _try(
        self, dialer: Dialer, endpoints: list[Endpoint], failures: dict[Endpoint, str]
    ) -> float | None:
        """Return how many seconds a link lived, or None after noting why there was none, unless
        what was in the way is so no more."""

        def fail(detail: str) -> None:
            failures.update(dict.fromkeys(endpoints, detail))

        with self._tasks.defects.contain("link to %s", dialer.config.site, end=fail):
            if self._returner.is_needed:
                try:
                    await self._returner.ask(dialer.config.site, endpoints)
                except (RemoteError, HostError) as exc:
                    fail(str(exc))
                    return None
            try:
                context = self._trust.dialling_context(ALPN)
                endpoint, tls = await connecting.dial_first(endpoints, context, remedy=ELSEWHERE)
            except AllFailed as exc:
                failures |= zip(endpoints, map(str, exc.failures), strict=True)
                return None
            began = time.monotonic()
            try:
                await self._converse(tls, endpoint, dialer)
            except RemoteError as exc:
                failure = await self._amend(dialer, endpoint, exc)
                if failure:
                    failures[endpoint] = failure
            else:
                dialer.last_good = endpoint
                return time.monotonic() - began
        return None

    async def _amend(self, dialer: Dialer, endpoint: Endpoint, failure: RemoteError) -> str:
        """Return why there was no link, or nothing if an address is worth another try at once: the
        neighbour's certificate had run out, and by this site it has a new one."""
        neighbor = dialer.config.site
        has_expired = isinstance(failure, CertificateExpired) and failure.site == neighbor
        if not has_expired or isinstance(failure, RootReplaced):
            return str(failure)
        if not dialer.may_offer or not self._join_server.may_offer(neighbor):
            return str(failure)
        dialer.may_offer = False
        try:
            await self._join_server.offer(neighbor, endpoint)
        except JoinRefused as exc:
            return str(exc)
        except RemoteError as exc:
            return f"{failure}; a new one was offered: {exc}"
        return ""
