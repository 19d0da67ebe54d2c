"""Our own advertisements: what we have to say, and when a new version is made of it."""

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

from van.errors import LocalError
from van.routing.database.keyring import Keyring
from van.routing.database.lsdb import NO_ADJACENCIES, Entry
from van.routing.engine.copies import Run
from van.routing.schedule.rng import Rng
from van.routing.schedule.timers import Pacer, Timers
from van.wire.lsa import (
    MAX_BODY,
    AddressesBody,
    AdjacenciesBody,
    Adjacency,
    Binding,
    Body,
    IdentityBody,
    Lsa,
    LsaKind,
    LsaVersion,
    Service,
    encode_body,
    signed_bytes,
)

ADVANCE_INTERVAL = 1.0
"""Least time between two advances of the incarnation: should two sites live under one name, each
outbids the other no faster than this."""
NO_ADDRESSES = AddressesBody((), ())


class Originator:
    """Signs new versions of our three advertisements, no faster than their pace allows."""

    def __init__(
        self,
        site: str,
        keyring: Keyring,
        *,
        incarnation: int,
        run: Run,
        timers: Timers,
        rng: Rng,
    ) -> None:
        self.incarnation = incarnation
        self._run = run
        self.addresses = NO_ADDRESSES
        """What we serve and reach at this moment; advertised as the pace allows."""
        self._adjacencies: tuple[Adjacency, ...] = ()
        self._is_transit = True
        self._site = site
        self._keyring = keyring
        self._lifetime = timers.lifetime
        self._is_withdrawn = False
        self._has_left = False
        self._pacers = {kind: Pacer(timers.origination_interval) for kind in LsaKind}
        self._advance = Pacer(ADVANCE_INTERVAL)
        self._heard_incarnation = 0
        # Should two lives share an incarnation because state was lost, then a random start keeps
        # them from giving one version to two contents.
        self._sequences = {kind: rng.getrandbits(32) for kind in LsaKind}

    def request(self, *kinds: LsaKind) -> None:
        """Ask for a new version of some kinds, or of all if none is named.

        Once withdrawn, we have no more to say.
        """
        if self._is_withdrawn:
            return
        for kind in kinds or LsaKind:
            self._pacers[kind].request()

    def renew(self) -> None:
        """Sign all of it anew at once: what was signed before is of another certificate."""
        for pacer in self._pacers.values():
            pacer.force()

    def withdraw(self) -> None:
        """Advertise neither adjacencies nor addresses from now on, and that at once."""
        self._is_withdrawn = True
        self._pacers[LsaKind.ADJACENCIES].force()
        self._pacers[LsaKind.ADDRESSES].force()

    def set_adjacencies(self, adjacencies: tuple[Adjacency, ...]) -> bool:
        """Take note of who our neighbours are now, and tell whether that is news."""
        if adjacencies == self._adjacencies:
            return False
        self._adjacencies = adjacencies
        self.request(LsaKind.ADJACENCIES)
        return True

    def set_transit(self, *, is_transit: bool) -> bool:
        """Take note of whether others may send through us, and tell whether that is news."""
        if is_transit is self._is_transit:
            return False
        self._is_transit = is_transit
        self.request(LsaKind.ADJACENCIES)
        return True

    def set_addresses(self, services: Iterable[Service], listeners: Iterable[Binding]) -> bool:
        """Take note of what we serve and reach now, and tell whether that is news.

        Raises `LocalError` if it is more than an advertisement can carry.
        """
        addresses = AddressesBody(_in_order(services), _in_order(listeners))
        if addresses == self.addresses:
            return False
        if (size := len(encode_body(addresses))) > MAX_BODY:
            raise LocalError(
                f"addresses of this site need {size} bytes, but an advertisement holds {MAX_BODY}"
            )
        self.addresses = addresses
        self.request(LsaKind.ADDRESSES)
        return True

    def leave(self) -> None:
        """Say goodbye for good, at once; what else we have to say has been withdrawn."""
        self._has_left = True
        self._pacers[LsaKind.IDENTITY].force()

    def adjacencies_body(self) -> AdjacenciesBody:
        """Return what is true of our adjacencies now."""
        return AdjacenciesBody(self._adjacencies, self._is_transit)

    def outbid(self, version: LsaVersion) -> None:
        """Ask for an incarnation above one that the network knows us by."""
        self._heard_incarnation = max(self._heard_incarnation, version.incarnation)
        self._advance.request()

    def advance(self, now: float) -> bool:
        """Begin a new incarnation if one is due, and say so."""
        if not self._advance.take(now):
            return False
        self.incarnation = max(self.incarnation, self._heard_incarnation) + 1
        self.request()
        return True

    def originate(self, now: float) -> Iterator[Entry]:
        """Sign and return the versions that are due, an identity first."""
        for kind in LsaKind:
            if self._pacers[kind].take(now):
                yield self._sign(kind)

    def due_at(self) -> float:
        """Return when there will be something to do, or infinity."""
        return min(self._advance.due_at(), *(pacer.due_at() for pacer in self._pacers.values()))

    def _body(self, kind: LsaKind) -> Body:
        match kind:
            case LsaKind.IDENTITY:
                run = self._run
                chain, authority = self._keyring.chain(), self._keyring.authority()
                return IdentityBody(
                    chain, run.id, run.started_at, authority, self._has_left, run.software
                )
            case LsaKind.ADJACENCIES:
                return NO_ADJACENCIES if self._is_withdrawn else self.adjacencies_body()
            case LsaKind.ADDRESSES:
                return NO_ADDRESSES if self._is_withdrawn else self.addresses

    def _sign(self, kind: LsaKind) -> Entry:
        self._sequences[kind] += 1
        version = LsaVersion(self.incarnation, self._sequences[kind])
        body = self._body(kind)
        encoded = encode_body(body)
        lsa = Lsa(
            origin=self._site,
            kind=kind,
            incarnation=version.incarnation,
            sequence=version.sequence,
            lifetime=self._lifetime,
            body=encoded,
            signature=self._keyring.sign(signed_bytes(self._site, kind, version, encoded)),
        )
        return Entry(lsa, body, expires_at=math.inf)


T = TypeVar("T", Binding, Service)


def _in_order(services: Iterable[T]) -> tuple[T, ...]:
    return tuple(sorted(set(services), key=lambda each: (each.protocol, each.address)))
