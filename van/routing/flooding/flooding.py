"""Flooding: which advertisements are to be sent to which neighbours, and when they leave.

A neighbour gets a new advertisement whole, or only the announcement of it if it asked for that, as
it gets advertisements sooner from others (`van.routing.flooding.tree`).
"""

import math
from collections.abc import Iterable, Iterator

import attrs

from van.routing.actions import Send
from van.routing.database.lsdb import Key, Lsdb
from van.routing.flooding.exchange import DIGEST_PART, digest_entry
from van.routing.schedule.timers import Pacer
from van.wire.link import Advertisements, Announcement
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
    announced: dict[Key, None] = attrs.field(factory=dict)
    """Keys that are to be announced only."""
    announce_at: float = math.inf
    is_open: bool = False
    """Whether the neighbour has told what it holds; what is new waits until then."""
    is_eager: bool = True
    """Whether the neighbour wants new advertisements whole."""

    def due_at(self) -> float:
        """Return when something may leave, or infinity."""
        return min(self.pacer.due_at(), self.announce_at) if self.is_open else math.inf


class Flooding:
    """Keeps an outbox for each neighbour. Every advertisement goes once, in paced batches."""

    def __init__(self, lsdb: Lsdb, *, interval: float, announce_delay: float) -> None:
        self._lsdb = lsdb
        self._interval = interval
        self._announce_delay = announce_delay
        self._outboxes: dict[str, Outbox] = {}
        self._unsent: dict[str, Outbox] = {}
        self._due_at = math.inf
        """When something may leave; not later than that, but perhaps too early."""

    def open(self, neighbor: str) -> None:
        """Begin with a new neighbour, or anew with one that has a new link."""
        self._outboxes[neighbor] = Outbox(Pacer(self._interval))
        self._unsent.pop(neighbor, None)

    def close(self, neighbor: str) -> None:
        """Forget a neighbour, and what it did not get."""
        del self._outboxes[neighbor]
        self._unsent.pop(neighbor, None)

    def digest_ended(self, neighbor: str) -> bool:
        """Let advertisements be sent to a neighbour from now on; tell whether they already were."""
        outbox = self._outboxes[neighbor]
        was_open, outbox.is_open = outbox.is_open, True
        self._due_at = min(self._due_at, outbox.due_at())
        return was_open

    def set_eager(self, neighbor: str, *, is_eager: bool) -> None:
        """Send new advertisements to a neighbour whole, or announce them only."""
        self._outboxes[neighbor].is_eager = is_eager

    def flood(self, key: Key, now: float, *, but: str | None = None) -> None:
        """Send or announce an advertisement to all neighbours but the one that it came from."""
        for neighbor, outbox in self._outboxes.items():
            if neighbor == but:
                self.discard(neighbor, key)
            elif outbox.is_eager or not outbox.is_open:
                self.add(neighbor, key)
            else:
                outbox.announced[key] = None
                outbox.announce_at = min(outbox.announce_at, now + self._announce_delay)
                self._unsent[neighbor] = outbox
                self._due_at = min(self._due_at, outbox.announce_at)

    def add(self, neighbor: str, key: Key) -> None:
        """Send an advertisement to one neighbour."""
        outbox = self._outboxes[neighbor]
        outbox.keys[key] = None
        outbox.pacer.request()
        self._unsent[neighbor] = outbox
        self._due_at = min(self._due_at, outbox.due_at())

    def discard(self, neighbor: str, key: Key) -> None:
        """Don't send an advertisement: the neighbour has shown that it holds it."""
        outbox = self._outboxes[neighbor]
        outbox.keys.pop(key, None)
        outbox.announced.pop(key, None)

    def hurry(self) -> None:
        """Let the next batch to each neighbour leave at once, and whole."""
        for neighbor, outbox in self._outboxes.items():
            outbox.is_eager = True
            outbox.pacer.force()
            self._unsent[neighbor] = outbox
            self._due_at = -math.inf

    def flush(self, now: float) -> Iterator[Send]:
        """Return what may leave now."""
        if now < self._due_at:
            return
        for neighbor, outbox in tuple(self._unsent.items()):
            if not outbox.is_open:
                continue
            if outbox.announce_at <= now:
                outbox.announce_at = math.inf
                keys, outbox.announced = outbox.announced, {}
                for message in pack_announcements(self._lsdb, keys):
                    yield Send(neighbor, message)
            if outbox.pacer.take(now):
                # Identities go before what they sign.
                sent, outbox.keys = sorted(outbox.keys, key=lambda key: key[1]), {}
                entries = (self._lsdb.get(key) for key in sent)
                lsas = (entry.as_sent(now) for entry in entries if entry is not None)
                for batch in pack_advertisements(lsas):
                    yield Send(neighbor, batch)
            if outbox.due_at() == math.inf:
                del self._unsent[neighbor]
        self._due_at = min((outbox.due_at() for outbox in self._unsent.values()), default=math.inf)

    def due_at(self) -> float:
        """Return when something may leave, or infinity if there is nothing."""
        return self._due_at


def pack_announcements(lsdb: Lsdb, keys: Iterable[Key]) -> Iterator[Announcement]:
    """Cut the names of what is held under some keys into messages."""
    entries = [digest_entry(lsdb, key) for key in keys if lsdb.get(key) is not None]
    for start in range(0, len(entries), DIGEST_PART):
        yield Announcement(tuple(entries[start : start + DIGEST_PART]))


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
