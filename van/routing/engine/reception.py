"""What becomes of an advertisement that a neighbour sends, or tells that it has."""

from collections import Counter
from collections.abc import Iterator

import attrs

from van.routing.actions import Action, AdvertisementDropped, IdentityShared, Send, SiteLeft
from van.routing.adjacency.neighbor import Neighbor
from van.routing.database.admission import AdvertisementRejected, Cause, Gate
from van.routing.database.ageing import Ageing
from van.routing.database.keyring import Keyring, Origin
from van.routing.database.lsdb import Key, Lsdb
from van.routing.engine.copies import Copies, Run
from van.routing.engine.duplicate_names import Contest
from van.routing.engine.origination import Originator
from van.routing.engine.route_computation import Forwarding
from van.routing.flooding.exchange import keys_of, request_for
from van.routing.flooding.flooding import Flooding
from van.routing.flooding.tree import FloodTree
from van.wire.link import Announcement, FloodMode
from van.wire.lsa import IdentityBody, Lsa, LsaKind, LsaVersion, decode_body

MAX_IGNORED_SHOWN = 5
"""Ignored addresses that are named in one report."""
FETCH_TIME = 0.5
"""Seconds in which one neighbour alone is asked for what several announce."""
MAX_FETCHED = 4096
"""Advertisements that may be on the way at one time because we asked; more are asked for later,
when databases are compared."""


@attrs.frozen
class _Fetch:
    """An advertisement that was asked for and has not come."""

    version: LsaVersion
    neighbor: str
    until: float
    """When somebody else may be asked."""


class Reception:
    """Compares advertisements with the database, and passes on to the rest what is newer."""

    def __init__(
        self,
        site: str,
        *,
        keyring: Keyring,
        lsdb: Lsdb,
        gate: Gate,
        originator: Originator,
        flooding: Flooding,
        tree: FloodTree,
        forwarding: Forwarding,
        ageing: Ageing,
        contest: Contest,
        copies: Copies,
    ) -> None:
        self._site = site
        self._lsdb = lsdb
        self._keyring = keyring
        self._gate = gate
        self._originator = originator
        self._flooding = flooding
        self._tree = tree
        self._forwarding = forwarding
        self._ageing = ageing
        self._contest = contest
        self._copies = copies
        self._fetched: dict[Key, _Fetch] = {}
        self.dropped: Counter[str] = Counter()
        """Advertisements that were not taken, by cause."""

    def receive(self, peer: Neighbor, lsa: Lsa, *, now: float) -> Iterator[Action]:
        """Take an advertisement, and return what to answer and to report."""
        key = (lsa.origin, lsa.kind)
        held = self._lsdb.version(key)
        try:
            if lsa.version > held or (lsa.origin != self._site and self._gate.is_contest(lsa)):
                yield from self._receive_newer(peer, lsa, now)
                self._tree.received_first(peer.name)
            elif lsa.version < held:
                self._flooding.add(peer.name, key)
            else:
                self._flooding.discard(peer.name, key)
                if self._tree.received_late(peer.name):
                    yield Send(peer.name, FloodMode(is_eager=False))
        except AdvertisementRejected as exc:
            yield self._drop(peer, lsa.origin, exc.cause, str(exc))
            if exc.cause is Cause.UNKNOWN_ORIGIN and peer.may_request(lsa.origin, now=now):
                keys = keys_of(lsa.origin, LsaKind.IDENTITY, lsa.kind)
                yield Send(peer.name, request_for(self._lsdb, keys))
            elif exc.cause is Cause.NAME_TAKEN:
                if peer.may_request(lsa.origin, now=now):  # each may hold on to another site's
                    self._flooding.add(peer.name, key)
                yield from self._contest.review(lsa.origin)

    def receive_announcement(
        self, peer: Neighbor, message: Announcement, *, now: float
    ) -> Iterator[Action]:
        """Fetch what a neighbour announces and nobody has sent; the neighbour sends whole then."""
        missing: list[Key] = []
        for entry in message.entries:
            key, version = (entry.origin, entry.kind), LsaVersion(entry.incarnation, entry.sequence)
            held = self._lsdb.version(key)
            if version > held:
                if self._gate.is_plausible(version) and self._may_fetch(peer, key, version, now):
                    missing.append(key)
            elif version < held:
                self._flooding.add(peer.name, key)
            else:
                self._flooding.discard(peer.name, key)
        if missing:
            yield Send(peer.name, request_for(self._lsdb, missing))
            if self._tree.missed(peer.name):
                yield Send(peer.name, FloodMode(is_eager=True))

    def forget(self, neighbor: str) -> bool:
        """Expect nothing more from a neighbour, and tell whether it owed us something."""
        owed = [key for key, fetch in self._fetched.items() if fetch.neighbor == neighbor]
        for key in owed:
            del self._fetched[key]
        return bool(owed)

    def _may_fetch(self, peer: Neighbor, key: Key, version: LsaVersion, now: float) -> bool:
        """Tell whether to ask for an advertisement now; if so, that is remembered."""
        before = self._fetched.get(key)
        if before is not None and before.version >= version and now < before.until:
            return False
        if len(self._fetched) >= MAX_FETCHED:
            self._fetched = {key: each for key, each in self._fetched.items() if now < each.until}
            if len(self._fetched) >= MAX_FETCHED:
                return False
        self._fetched[key] = _Fetch(version, peer.name, now + FETCH_TIME)
        return True

    def _receive_newer(self, peer: Neighbor, lsa: Lsa, now: float) -> Iterator[Action]:
        """Check and install an advertisement; raises `AdvertisementRejected`."""
        if lsa.origin == self._site:
            self._gate.check_own(lsa)
            self._originator.outbid(lsa.version)
            if lsa.kind is LsaKind.IDENTITY:
                yield from self._compare_runs(lsa)
            return
        before, had_left = self._lsdb.origin(lsa.origin), self._lsdb.has_left(lsa.origin)
        is_present = self._contest.is_present(lsa.origin, now=now)
        admitted = self._gate.admit(lsa, is_present=is_present, now=now)
        if admitted.ignored:
            shown = ", ".join(admitted.ignored[:MAX_IGNORED_SHOWN])
            detail = f"{len(admitted.ignored)} addresses are ignored: {shown}"
            yield self._drop(peer, lsa.origin, Cause.NOT_ALLOWED, detail)
        self._fetched.pop(admitted.entry.key, None)
        if lsa.kind is LsaKind.IDENTITY and before is not admitted.origin:
            self._keyring.admitted(admitted.origin)
        self._forwarding.request(self._lsdb.install(admitted.entry), now)
        if not had_left and self._lsdb.has_left(lsa.origin):
            yield SiteLeft(lsa.origin, admitted.origin.key_id)
        self._ageing.expect(admitted.entry.expires_at)
        self._flooding.flood(admitted.entry.key, now, but=peer.name)
        if lsa.kind is LsaKind.IDENTITY and _is_same_site(before, admitted.origin):
            yield from self._compare_runs(lsa)
        if lsa.kind is LsaKind.IDENTITY and before is not admitted.origin:
            self._lsdb.set_origin(lsa.origin, admitted.origin)
            self._forwarding.request(self._gate.review(lsa.origin, admitted.origin), now)
            if before is not None and before.key_id != admitted.origin.key_id:
                self._contest.changed_hands(lsa.origin, now=now)
                # The peer took ours for newer than the genuine ones, or has sent these already,
                # when another held the name: so it does not send them.
                missing = [key for key in keys_of(lsa.origin, *LsaKind) if not self._lsdb.get(key)]
                yield Send(peer.name, request_for(self._lsdb, missing))
            yield from self._contest.review(lsa.origin)

    def _compare_runs(self, lsa: Lsa) -> Iterator[IdentityShared]:
        """Report if an identity that was taken shows that two run with one site's keys."""
        body = decode_body(lsa.kind, lsa.body)
        assert isinstance(body, IdentityBody)
        run = Run(body.run, body.started_at)
        if self._copies.receive(lsa.origin, run):
            is_own = lsa.origin == self._site
            yield IdentityShared(lsa.origin, is_own and self._copies.must_make_way(run))

    def _drop(self, peer: Neighbor, origin: str, cause: Cause, detail: str) -> AdvertisementDropped:
        self.dropped[cause.value] += 1
        return AdvertisementDropped(peer.name, origin, cause.value, detail)


def _is_same_site(before: Origin | None, after: Origin) -> bool:
    return before is not None and before.key_id == after.key_id
