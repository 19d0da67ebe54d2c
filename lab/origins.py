"""The advertisements of a VAN whose sites exist on paper only, signed by keys that its root knows.

One of them can be played by a peer, which then floods the rest, as if they lived behind it.
"""

import random
from collections.abc import Iterator
from typing import Final

import attrs

from van.tls.credentials import Credentials
from van.wire.link import Advertisements
from van.wire.lsa import (
    AddressesBody,
    AdjacenciesBody,
    Adjacency,
    Body,
    IdentityBody,
    Lsa,
    LsaKind,
    LsaVersion,
    Service,
    encode_body,
    signed_bytes,
)

LIFETIME: Final = 900.0
MAX_BATCH: Final = 32 * 1024
"""Bytes of advertisements in one message, as a router batches them."""

Edges = dict[str, set[str]]


def random_graph(names: list[str], *, edges: int, rng: random.Random) -> Edges:
    """Return a connected graph: a random tree, and further edges at random."""
    graph: Edges = {name: set() for name in names}

    def join(one: str, other: str) -> None:
        graph[one].add(other)
        graph[other].add(one)

    for index, name in enumerate(names[1:], start=1):
        join(name, names[rng.randrange(index)])
    missing = edges - (len(names) - 1)
    while missing > 0:
        one, other = rng.sample(names, 2)
        if other not in graph[one]:
            join(one, other)
            missing -= 1
    return graph


@attrs.frozen
class PaperSite:
    """A site on paper: its credentials, its neighbours, and what it serves."""

    credentials: Credentials
    neighbors: tuple[str, ...]
    addresses: tuple[str, ...]

    def advertise(self) -> Iterator[Lsa]:
        """Yield its three advertisements, the identity first."""
        adjacencies = tuple(Adjacency(name, 1, 1000) for name in sorted(self.neighbors))
        services = tuple(Service(address, "tcp") for address in sorted(self.addresses))
        yield self._sign(LsaKind.IDENTITY, IdentityBody(self.credentials.chain))
        yield self._sign(LsaKind.ADJACENCIES, AdjacenciesBody(adjacencies))
        yield self._sign(LsaKind.ADDRESSES, AddressesBody(services, ()))

    def _sign(self, kind: LsaKind, body: Body) -> Lsa:
        origin, payload = self.credentials.site, encode_body(body)
        signature = self.credentials.sign(signed_bytes(origin, kind, LsaVersion(1, 1), payload))
        return Lsa(origin, kind, 1, 1, LIFETIME, payload, signature)


def batches(lsas: list[Lsa]) -> Iterator[Advertisements]:
    """Yield advertisements in messages of the size that a router sends."""
    batch: list[Lsa] = []
    size = 0
    for lsa in lsas:
        weight = len(lsa.body) + len(lsa.signature) + 64
        if batch and size + weight > MAX_BATCH:
            yield Advertisements(tuple(batch))
            batch, size = [], 0
        batch.append(lsa)
        size += weight
    if batch:
        yield Advertisements(tuple(batch))
