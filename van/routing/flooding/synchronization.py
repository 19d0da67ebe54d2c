"""Keeps the databases of neighbours the same: when a link comes up, and now and then after.

What is said in the messages is in `van.routing.flooding.exchange`; here is who says it when.
"""

from collections import deque
from collections.abc import Iterator

from van.routing.actions import Send
from van.routing.adjacency.neighbor import Neighbor
from van.routing.database.lsdb import Lsdb
from van.routing.flooding.exchange import (
    compare,
    differing,
    digest,
    request_for,
    requested,
    summary,
)
from van.routing.flooding.flooding import Flooding
from van.wire.link import Digest, Request, Summary


class Synchronization:
    """Answers what neighbours say that they hold, and tells them in turn what we do."""

    def __init__(self, lsdb: Lsdb, flooding: Flooding) -> None:
        self._lsdb = lsdb
        self._flooding = flooding
        self._turns: deque[str] = deque()
        """Neighbours, the one that has waited longest for a summary first."""

    def open(self, neighbor: str) -> Send:
        """Begin with a neighbour; return what to send to it."""
        self._turns.append(neighbor)
        return Send(neighbor, summary(self._lsdb))

    def close(self, neighbor: str) -> None:
        """Forget a neighbour."""
        self._turns.remove(neighbor)

    def next_summary(self) -> Iterator[Send]:
        """Return what to send to the neighbour whose turn it is, if there is any."""
        if self._turns:
            self._turns.rotate(-1)
            yield Send(self._turns[-1], summary(self._lsdb))

    def receive_summary(self, peer: Neighbor, message: Summary) -> Iterator[Send]:
        """Tell a neighbour what we hold where it holds something else."""
        for part in digest(self._lsdb, differing(self._lsdb, message)):
            yield Send(peer.name, part)

    def receive_digest(self, peer: Neighbor, message: Digest) -> Iterator[Send]:
        """See to it that a neighbour gets what it lacks; raises `RemoteProtocolError`."""
        comparison = compare(self._lsdb, message, peer.digest_cursor)
        peer.digest_cursor = comparison.cursor
        for key in comparison.newer:
            self._flooding.add(peer.name, key)
        # When a link comes up both ends send digests, and neither has to ask.
        if message.is_last and self._flooding.digest_ended(peer.name) and comparison.older:
            yield Send(peer.name, request_for(self._lsdb, comparison.older))

    def receive_request(self, peer: Neighbor, message: Request) -> None:
        """See to it that a neighbour gets what it asks for, as far as we hold something newer."""
        for key in requested(self._lsdb, message):
            self._flooding.add(peer.name, key)
