"""Keeps copies of other authorities' audit trails, as they hand them out."""

import logging
from collections import deque
from typing import Final

import trio

from van.errors import NotAllowed, VanError
from van.router.site.audit import AuditKind
from van.router.site.state import SiteState
from van.router.site.trail import Head
from van.router.site.trail_copies import TrailRefused
from van.router.telemetry.events import EventKind, EventLog
from van.tls.connection import TlsConnection
from van.tls.identity import SiteIdentity
from van.tls.possession import check_authority, prove_authority
from van.wire.channel import Trail, TrailKept

logger = logging.getLogger(__name__)

MAX_TOLD: Final = 64
"""Refusals that are remembered, so that each is recorded once."""


class TrailKeeper:
    """Answers who asks to have an audit trail kept; in trio's thread."""

    def __init__(self, site: SiteState, event_log: EventLog) -> None:
        self._trust = site.trust
        self._audit = site.audit
        self._copies = site.trail_copies
        self._event_log = event_log
        self.refusals: deque[str] = deque(maxlen=MAX_TOLD)
        """What was not kept since the router started, and why."""

    async def answer(self, peer: SiteIdentity, request: Trail, _: TlsConnection) -> TrailKept:
        """Keep what follows on what is kept already, and say what that is, or why nothing is
        taken."""
        try:
            return await self._answer(peer, request)
        except TrailRefused as exc:
            self._tell(peer.site, str(exc))
            error: VanError = exc
        except VanError as exc:
            logger.info("audit trail of site %r is not kept: %s", peer.site, exc)
            error = exc
        return TrailKept((), b"", 0, b"", str(error)[:500])

    async def _answer(self, peer: SiteIdentity, request: Trail) -> TrailKept:
        trust = self._trust
        ours = trust.credentials.authority
        if ours is None:
            raise NotAllowed(f"site {trust.site!r} holds no authority, and keeps no audit trails")
        trust.verify(peer.chain)  # it was valid when the channel was made
        proof = check_authority(
            peer, request.authority, request.proof, ours.root, trust.expulsions, at=trust.clock()
        )
        is_upper = not proof.authorities or proof.authorities[0].is_granted
        now = trio.current_time()
        kept = await trio.to_thread.run_sync(self._take, peer, request, is_upper, now)
        ours = trust.credentials.authority or ours
        proved = prove_authority(ours, trust.identity)
        return TrailKept(ours.chain, proved, kept.number, bytes.fromhex(kept.hash), "")

    def _take(self, peer: SiteIdentity, request: Trail, is_upper: bool, now: float) -> Head:  # noqa: FBT001 - passed on by a thread
        return self._copies.take(peer, request, is_upper=is_upper, now=now)

    def _tell(self, site: str, why: str) -> None:
        if why in self.refusals:
            return
        self.refusals.append(why)
        self._event_log.record(EventKind.TRAIL_REFUSED, site, why)
        self._audit.try_to_record(AuditKind.TRAIL_REFUSED, site, why)
