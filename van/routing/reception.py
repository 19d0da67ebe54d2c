"""What becomes of an advertisement that a neighbour sends."""

from collections import Counter
from collections.abc import Iterator

from van.routing.actions import AdvertisementDropped, Send
from van.routing.adjacency import Neighbor
from van.routing.admission import AdvertisementRejected, Cause, Gate
from van.routing.ageing import Ageing
from van.routing.exchange import request_for
from van.routing.flooding import Flooding
from van.routing.forwarding import Forwarding
from van.routing.lsdb import Lsdb
from van.routing.origination import Originator
from van.wire.lsa import Lsa, LsaKind

MAX_IGNORED_SHOWN = 5
"""Ignored addresses that are named in one report."""


class Reception:
    """Compares advertisements with the database, and passes on to the rest what is newer."""

    def __init__(
        self,
        site: str,
        *,
        lsdb: Lsdb,
        gate: Gate,
        originator: Originator,
        flooding: Flooding,
        forwarding: Forwarding,
        ageing: Ageing,
    ) -> None:
        self._site = site
        self._lsdb = lsdb
        self._gate = gate
        self._originator = originator
        self._flooding = flooding
        self._forwarding = forwarding
        self._ageing = ageing
        self.dropped: Counter[str] = Counter()
        """Advertisements that were not taken, by cause."""

    def receive(
        self, peer: Neighbor, lsa: Lsa, *, now: float
    ) -> Iterator[Send | AdvertisementDropped]:
        """Take an advertisement, and return what to answer and to report."""
        key = (lsa.origin, lsa.kind)
        held = self._lsdb.version(key)
        if lsa.version < held:
            self._flooding.add(peer.name, key)
        elif lsa.version == held:
            self._flooding.discard(peer.name, key)
        else:
            try:
                yield from self._receive_newer(peer, lsa, now)
            except AdvertisementRejected as exc:
                yield self._drop(peer, lsa.origin, exc.cause, str(exc))
                if exc.cause is Cause.UNKNOWN_ORIGIN and peer.may_request(lsa.origin, now=now):
                    request = request_for(self._lsdb, lsa.origin, LsaKind.IDENTITY, lsa.kind)
                    yield Send(peer.name, request)

    def _receive_newer(
        self, peer: Neighbor, lsa: Lsa, now: float
    ) -> Iterator[Send | AdvertisementDropped]:
        """Check and install an advertisement; raises `AdvertisementRejected`."""
        if lsa.origin == self._site:
            self._gate.check_own(lsa)
            self._originator.outbid(lsa.version)
            return
        admitted = self._gate.admit(lsa, now=now)
        if admitted.ignored:
            shown = ", ".join(admitted.ignored[:MAX_IGNORED_SHOWN])
            detail = f"{len(admitted.ignored)} addresses are ignored: {shown}"
            yield self._drop(peer, lsa.origin, Cause.NOT_ALLOWED, detail)
        self._forwarding.request(self._lsdb.install(admitted.entry))
        self._ageing.expect(admitted.entry.expires_at)
        self._flooding.flood(admitted.entry.key, but=peer.name)
        if lsa.kind is LsaKind.IDENTITY and self._lsdb.origin(lsa.origin) is not admitted.origin:
            self._lsdb.set_origin(lsa.origin, admitted.origin)
            change, removed = self._gate.review(lsa.origin, admitted.origin)
            self._forwarding.request(change)
            if removed:
                # The peer took ours for newer than the genuine ones, so it has not sent those.
                yield Send(peer.name, request_for(self._lsdb, lsa.origin, *removed))

    def _drop(self, peer: Neighbor, origin: str, cause: Cause, detail: str) -> AdvertisementDropped:
        self.dropped[cause.value] += 1
        return AdvertisementDropped(peer.name, origin, cause.value, detail)
