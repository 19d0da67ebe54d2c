"""Renews this site's certificate before it expires: by its own root, or by asking the authorities
that can be reached, wherever in the network they are."""

import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import trio

from van.errors import CertificateError, RemoteError, VanError
from van.router.links.authorities import reachable_authorities
from van.router.links.routes import Routes
from van.router.site.alarms import WallAlarms
from van.router.site.state import SiteState
from van.tls.authority import Authority
from van.tls.credentials import Credentials
from van.tls.keys import make_request
from van.tls.renewal import renewal_time, take_renewed
from van.wire.channel import Renew, Renewed

logger = logging.getLogger(__name__)

ASKED_FIRST: Final = 3
"""How many of the authorities that are best to ask are asked in each attempt, one after the
other."""
ASKED_ELSE: Final = 3
"""How many of all others are, drawn by lot, so that the next attempt asks some more of them."""
MAX_PAUSE: Final = timedelta(minutes=10)
"""Longest time between two attempts, and shorter for certificates that don't live for long."""
FIRST_PAUSE: Final = timedelta(seconds=30)
ALARM: Final = "renewal"
SPREAD: Final = 0.02
"""Seconds, for each site of the network, over which all ask once a root is replaced."""
MAX_SPREAD: Final = 30.0
PATIENCE: Final = 10.0
"""Seconds that it is waited for who let this site in, once a root is replaced."""
POLL: Final = 0.1
MAX_WAIT: Final = timedelta(seconds=10)
MIN_WAIT: Final = timedelta(seconds=1)
"""How long an authority may take to answer, the channel to it included, by how long certificates
live."""

Ask = Callable[[str, Renew, float], Awaitable[Renewed]]
"""Asks a site, and raises `RemoteError` if it does not answer within so many seconds."""


class Renewer:
    """Keeps the certificate fresh; in trio's thread."""

    def __init__(self, site: SiteState, routes: Routes, alarms: WallAlarms, ask: Ask) -> None:
        self._site = site
        self._trust = site.trust
        self._routes = routes
        self._alarms = alarms
        self._ask = ask
        self._woken = trio.Event()
        self._failed: frozenset[str] = frozenset()
        """Who could have been asked in the attempts that failed since the last that did not."""
        self._attempts = 0
        routes.fib_changed.subscribe(lambda *_: self._network_changed())
        self._turn = site.trust.clock()
        """When this site asks for a certificate that rests on a newer root."""
        site.trust.replaced.subscribe(self._wake)
        site.trust.succession.rolled.subscribe(self._root_seen)

    async def run(self) -> None:
        """Renew whenever two thirds of the certificate's life are over, until cancelled."""
        while True:
            await self._wait_until_due()
            try:
                renewed = await self._renewed()
                self._site.install(renewed)
            except VanError as exc:
                logger.warning("certificate not renewed: %s", exc)
                await self._rest()
            else:
                self._attempts, self._failed = 0, frozenset()
                logger.info("certificate renewed until %s", renewed.identity.not_after)

    async def _wait_until_due(self) -> None:
        while True:
            identity, self._woken = self._trust.identity, trio.Event()
            due = self._due()
            if identity.grants.is_ephemeral:
                self._alarms.cancel(ALARM)
            elif due <= self._trust.clock():
                return
            else:
                self._alarms.set(ALARM, due, self._wake)
            await self._woken.wait()

    def _due(self) -> datetime:
        """Return when another certificate is wanted."""
        due = renewal_time(self._trust.identity)
        return min(due, self._turn) if self._must_follow() else due

    def _must_follow(self) -> bool:
        """Tell whether there is a newer root, on which this site's certificate has to rest; who
        stands beside the root is given another authority by it."""
        authority = self._trust.credentials.authority
        return self._trust.is_behind and not (authority is not None and authority.is_granted)

    def _root_seen(self) -> None:
        """Wait for a moment, so that not all sites ask the same authority at once."""
        spread = min(MAX_SPREAD, SPREAD * len(self._routes.fib.routes))
        self._turn = self._trust.clock() + timedelta(seconds=random.uniform(0, spread))
        self._wake()

    async def _issuer_follows(self) -> None:
        """Wait for a while until who issued the present certificate, or one above, can issue one
        that rests on the newest root: whom it let in is to go with it."""
        above = set(self._trust.identity.issuers) & self._routes.fib.routes.keys()
        with trio.move_on_after(PATIENCE):
            while above and above.isdisjoint(self._authorities()):  # noqa: ASYNC110 - for long
                await trio.sleep(POLL)

    async def _rest(self) -> None:
        """Wait for a while, which is longer after each attempt, or for another authority."""
        self._failed |= set(self._authorities())
        life = self._life()
        pause = min(FIRST_PAUSE, life / 60) * 2**self._attempts
        pause = min(pause, MAX_PAUSE, life / 30) * random.uniform(0.75, 1.25)
        self._attempts = min(self._attempts + 1, 30)
        self._woken = trio.Event()
        # By either clock: the one goes on while the machine sleeps, the other is not set.
        self._alarms.set(ALARM, self._trust.clock() + pause, self._wake)
        with trio.move_on_after(pause.total_seconds()):
            await self._woken.wait()

    def _life(self) -> timedelta:
        identity = self._trust.identity
        return identity.not_after - identity.issued_at

    def _wake(self) -> None:
        self._woken.set()

    def _network_changed(self) -> None:
        """Try again at once when there is somebody who could not be asked before."""
        if self._attempts and not self._failed.issuperset(self._authorities()):
            self._wake()

    def _authorities(self) -> list[str]:
        """Return whom to ask of those that can be reached, in this order."""
        return reachable_authorities(self._trust, self._routes, self._trust.identity)

    async def _renewed(self) -> Credentials:
        """Return what this site holds with a new certificate; raise a `VanError`."""
        ours = self._trust.credentials
        if self._must_follow():
            await self._issuer_follows()
        elif ours.authority is not None and ours.authority.is_lasting:
            return self._renewed_here(ours, ours.authority)
        failures: list[str] = []
        for site in asked_of(self._authorities()):
            try:
                return await self._renewed_by(site, ours)
            except RemoteError as exc:
                failures.append(f"site {site!r}: {exc}")
        raise CertificateError(
            "; ".join(failures) or "no site can be reached that could issue a certificate"
        )

    def _renewed_here(self, ours: Credentials, root: Authority) -> Credentials:
        chain = root.issue_site(
            make_request(ours.key),
            site=ours.site,
            grants=ours.identity.grants,
            now=self._trust.clock(),
            first_issued=ours.identity.first_issued,
            is_own=True,
        )
        return take_renewed(ours, chain, (), at=self._trust.clock())

    async def _renewed_by(self, site: str, ours: Credentials) -> Credentials:
        """Return what this site holds with a certificate of another's authority.

        Raises `RemoteError` when that does not answer, or with anything but what was asked for.
        """
        authority = ours.authority
        asks = authority is not None and not authority.is_lasting
        ca_request = make_request(authority.key) if authority and asks else b""
        wait = max(MIN_WAIT, min(MAX_WAIT, self._life() / 30)).total_seconds()
        answer = await self._ask(site, Renew(make_request(ours.key), ca_request), wait)
        if answer.error:
            raise CertificateError(answer.error)
        if self._trust.credentials is not ours:
            raise CertificateError("the present one was replaced meanwhile")
        return take_renewed(ours, answer.chain, answer.ca_chain, at=self._trust.clock())


def asked_of(candidates: Sequence[str]) -> Iterator[str]:
    """Yield whom to ask in one attempt: those that are best, and some of the others."""
    yield from candidates[:ASKED_FIRST]
    others = candidates[ASKED_FIRST:]
    yield from random.sample(others, min(ASKED_ELSE, len(others)))
