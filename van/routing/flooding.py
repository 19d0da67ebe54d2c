"""Flooding: which advertisements are to be sent to which neighbours, and when they leave."""

import math
from collections.abc import Iterable, Iterator

import attrs

from van.routing.actions import Send
from van.routing.lsdb import Key, Lsdb
from van.routing.timers import Pacer
from van.wire.link import Advertisements
from van.wire.lsa import Lsa

MAX_BATCH = 32 * 1024
"""Bytes of advertisements in one message, unless one alone is larger: on a link of 1 Mbit/s such a
message takes a quarter of a second, so that it can't be mistaken for silence."""
MAX_BATCH_COUNT = 1024
"""As many as `Advertisements` may carry."""
LSA_OVERHEAD = 128
"""More than all of an encoded advertisement but for its origin, body, and signature."""


@attrs.define
class Outbox:
    """What one neighbour is to get: keys, looked up when they leave, so that the newest goes."""

    pacer: Pacer
    keys: dict[Key, None] = attrs.field(factory=dict)
    has_digest: bool = False
    """Whether the neighbour has begun to tell what it holds."""


class Flooding:
    """Keeps an outbox for each neighbour. Every advertisement goes once, in paced batches."""

    def __init__(self, lsdb: Lsdb, *, interval: float) -> None:
        self._lsdb = lsdb
        self._interval = interval
        self._outboxes: dict[str, Outbox] = {}
        self._unsent: dict[str, Outbox] = {}

    def open(self, neighbor: str) -> None:
        """Begin with a new neighbour, or anew with one that has a new link."""
        self._outboxes[neighbor] = Outbox(Pacer(self._interval))
        self._unsent.pop(neighbor, None)

    def close(self, neighbor: str) -> None:
        """Forget a neighbour, and what it did not get."""
        del self._outboxes[neighbor]
        self._unsent.pop(neighbor, None)

    def receive_digest(self, neighbor: str) -> None:
        """Let advertisements be flooded to a neighbour from now on."""
        self._outboxes[neighbor].has_digest = True

    def flood(self, key: Key, *, but: str | None = None) -> None:
        """Send an advertisement to all neighbours but the one that it came from.

        A neighbour whose digest has not come yet is left out: it gets the advertisement with all
        else that it lacks, after the identity of the origin.
        """
        for neighbor, outbox in self._outboxes.items():
            if neighbor == but:
                self.discard(neighbor, key)
            elif outbox.has_digest:
                self.add(neighbor, key)

    def add(self, neighbor: str, key: Key) -> None:
        """Send an advertisement to one neighbour."""
        outbox = self._outboxes[neighbor]
        outbox.keys[key] = None
        outbox.pacer.request()
        self._unsent[neighbor] = outbox

    def discard(self, neighbor: str, key: Key) -> None:
        """Don't send an advertisement: the neighbour has shown that it holds it."""
        self._outboxes[neighbor].keys.pop(key, None)

    def hurry(self) -> None:
        """Let the next batch to each neighbour leave at once."""
        for neighbor, outbox in self._outboxes.items():
            outbox.pacer.force()
            self._unsent[neighbor] = outbox

    def flush(self, now: float) -> Iterator[Send]:
        """Return what may leave now."""
        for neighbor, outbox in tuple(self._unsent.items()):
            if not outbox.pacer.take(now):
                continue
            del self._unsent[neighbor]
            # Identities go before what they sign.
            keys, outbox.keys = sorted(outbox.keys, key=lambda key: key[1]), {}
            entries = (self._lsdb.get(key) for key in keys)
            lsas = (entry.as_sent(now) for entry in entries if entry is not None)
            for message in pack_advertisements(lsas):
                yield Send(neighbor, message)

    def due_at(self) -> float:
        """Return when something may leave, or infinity if there is nothing."""
        return min((box.pacer.due_at() for box in self._unsent.values()), default=math.inf)


def pack_advertisements(lsas: Iterable[Lsa]) -> Iterator[Advertisements]:
    """Cut advertisements into messages, in order, each within the bounds of a link's message."""
    batch: list[Lsa] = []
    size = 0
    for lsa in lsas:
        lsa_size = LSA_OVERHEAD + len(lsa.origin) + len(lsa.body) + len(lsa.signature)
        if batch and (size + lsa_size > MAX_BATCH or len(batch) == MAX_BATCH_COUNT):
            yield Advertisements(tuple(batch))
            batch, size = [], 0
        batch.append(lsa)
        size += lsa_size
    if batch:
        yield Advertisements(tuple(batch))
