"""Hands this site's audit trail out to other authorities, which keep copies of it.

Each keeper is asked what it has, and given what follows. That is done when there is another record,
or another keeper can be reached; what fails is tried again, after longer and longer pauses.
"""

import logging
import math
import random
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
import trio

from van.errors import CertificateError, RemoteError, StorageError, VanError
from van.router.links.routes import Routes
from van.router.site.state import SiteState
from van.router.telemetry.events import EventKind, EventLog
from van.tls.authority import Authority
from van.tls.holders import Standing, standing_of
from van.tls.identity import SiteIdentity
from van.tls.possession import check_authority, prove_authority
from van.wire.channel import Trail, TrailKept

logger = logging.getLogger(__name__)

MAX_KEEPERS: Final = 8
"""Authorities that copies are at: those nearest to the root first."""
PACE: Final = 0.5
"""Seconds between two times that one keeper is asked, so that records that come in a row go
together."""
FIRST_PAUSE: Final = 2.0
MAX_PAUSE: Final = 600.0
MAX_TALK: Final = 30.0
"""Seconds for one keeper: a whole trail, by a slow path."""
Ask = Callable[[Trail], Awaitable[TrailKept]]
Talk = Callable[[SiteIdentity, Ask], Awaitable[None]]
Open = Callable[[str, Talk, float], Awaitable[None]]
"""Talks with a site, for so many seconds at the most; raises `RemoteError`."""


class TrailDeclined(RemoteError):
    """A site does not keep a copy of this one's audit trail."""

    code = "trail"


@attrs.define
class Copy:
    """How it stands with the copy at one keeper."""

    kept: int = 0
    """The last record that it is known to have."""
    kept_hash: str = ""
    error: str = ""
    """Why the last attempt failed; empty if it did not."""
    attempts: int = 0
    """How many have failed in a row."""
    due_at: float = -math.inf
    is_busy: bool = False


class TrailSharing:
    """Sees to it that keepers have all; in trio's thread."""

    def __init__(self, site: SiteState, routes: Routes, event_log: EventLog, open_: Open) -> None:
        self.copies: dict[str, Copy] = {}
        """By the name of the keeper, of those that can be reached."""
        self._trust = site.trust
        self._audit = site.audit
        self._routes = routes
        self._event_log = event_log
        self._open = open_
        self._woken = trio.Event()
        self._standings: dict[tuple[bytes, ...], Standing | None] = {}
        site.audit.recorded.subscribe(self._wake)
        site.trust.replaced.subscribe(self._wake)
        routes.fib_changed.subscribe(lambda *_: self._wake())

    async def run(self) -> None:
        """Hand out what is new, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                self._woken = trio.Event()
                try:
                    due_at = self._start_due(nursery)
                except StorageError as exc:
                    logger.warning("the audit trail is not handed out: %s", exc)
                    due_at = trio.current_time() + MAX_PAUSE
                with trio.move_on_at(due_at):
                    await self._woken.wait()

    def _start_due(self, nursery: trio.Nursery) -> float:
        """Begin to talk with who lacks something, and return when that is to be done again."""
        authority, last = self._trust.credentials.authority, self._audit.files.last()
        if authority is None or not last.number:
            return math.inf
        names = self._keepers()
        busy = (each for each, copy in self.copies.items() if copy.is_busy)
        self.copies = {each: self.copies.get(each) or Copy() for each in (*names, *busy)}
        now, due_at = trio.current_time(), math.inf
        for name, copy in self.copies.items():
            if copy.is_busy or (not copy.error and copy.kept_hash == last.hash):
                continue
            if copy.due_at <= now:
                copy.is_busy = True
                nursery.start_soon(self._share, name, copy)
            else:
                due_at = min(due_at, copy.due_at)
        return due_at

    def _keepers(self) -> list[str]:
        """Return the names of who says to hold an authority, those first that are to be asked
        first; that they do is for them to prove."""
        told, found = self._routes.identities(), []
        standings: dict[tuple[bytes, ...], Standing | None] = {}
        for site in self._routes.fib.routes:
            body = told.get(site)
            if body is None or body.authority is None or site == self._trust.site:
                continue
            chain = body.authority
            if chain in self._standings:
                standings[chain] = self._standings[chain]
            else:
                standings[chain] = standing_of(chain, self._trust.credentials.root)
            standing = standings[chain]
            if standing is not None:
                found.append((standing.level, site))
        self._standings = standings
        return [site for _, site in sorted(found)[:MAX_KEEPERS]]

    async def _share(self, site: str, copy: Copy) -> None:
        try:
            await self._open(site, lambda peer, ask: self._hand_out(peer, ask, copy), MAX_TALK)
        except VanError as exc:
            self._failed(site, copy, str(exc))
            if isinstance(exc, TrailDeclined):
                text = f"it keeps no more of the audit trail of this site: {exc}"
                self._event_log.record_rarely(EventKind.TRAIL_REFUSED, site, text, about=str(exc))
        else:
            copy.error, copy.attempts = "", 0
            copy.due_at = trio.current_time() + PACE
        finally:
            copy.is_busy = False
            self._wake()

    async def _hand_out(self, peer: SiteIdentity, ask: Ask, copy: Copy) -> None:
        """Ask a keeper what it has, and give it what follows; raise a `VanError`."""
        lines: tuple[bytes, ...] = ()
        while True:
            answer = await ask(self._offer(lines))
            if answer.error:
                raise TrailDeclined(answer.error)
            self._check_keeper(peer, answer)
            if lines and answer.number <= copy.kept:
                raise TrailDeclined(f"site {peer.site!r} does not say that it has kept anything")
            copy.kept, copy.kept_hash = answer.number, answer.hash.hex()
            last = self._audit.files.last()
            lines = await trio.to_thread.run_sync(self._audit.files.after, answer.number)
            if lines:
                continue
            if copy.kept_hash != last.hash:
                raise TrailDeclined("the records that come next are not in this site's file")
            return

    def _offer(self, lines: tuple[bytes, ...]) -> Trail:
        authority, last = self._authority(), self._audit.files.last()
        proof = prove_authority(authority, self._trust.identity)
        return Trail(authority.chain, proof, last.number, bytes.fromhex(last.hash), lines)

    def _authority(self) -> Authority:
        authority = self._trust.credentials.authority
        if authority is None:
            raise CertificateError("this site holds no authority any more")
        return authority

    def _check_keeper(self, peer: SiteIdentity, answer: TrailKept) -> None:
        """Raise a `VanError` unless a site has proved that it may read audit trails."""
        trust = self._trust
        check_authority(
            peer,
            answer.authority,
            answer.proof,
            trust.credentials.root,
            trust.expulsions,
            at=trust.clock(),
        )

    def _failed(self, site: str, copy: Copy, why: str) -> None:
        copy.error = why
        pause = min(MAX_PAUSE, FIRST_PAUSE * 2**copy.attempts) * random.uniform(0.75, 1.25)
        copy.attempts = min(copy.attempts + 1, 30)
        copy.due_at = trio.current_time() + pause
        logger.info("site %r keeps no copy of the audit trail: %s", site, why)

    def _wake(self) -> None:
        self._woken.set()
