"""A talk with one real engine: the test plays its neighbours, and writes advertisements by hand."""

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, TypeVar

import msgspec

from lab.routing.authority import Authority, SiteKeyring
from van.routing.actions import Action, Send
from van.routing.engine.engine import Engine
from van.routing.schedule.timers import Timers
from van.wire.link import BUCKETS, Advertisements, Digest, RoutingMessage
from van.wire.lsa import (
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

ALL_BUCKETS = bytes(range(BUCKETS))
A = TypeVar("A", bound=Action)
M = TypeVar("M", bound=RoutingMessage)


class Author:
    """Signs advertisements in a site's name."""

    def __init__(self, authority: Authority, site: str, **permissions: Any) -> None:
        self.site = site
        self.keyring = authority.issue(site, **permissions)

    def identity(self, sequence: int = 1, **fields: Any) -> Lsa:
        return self.lsa(LsaKind.IDENTITY, IdentityBody(self.keyring.chain()), sequence, **fields)

    def adjacencies(self, costs: Mapping[str, int], sequence: int = 1, **fields: Any) -> Lsa:
        body = AdjacenciesBody(tuple(Adjacency(name, cost, 0) for name, cost in costs.items()))
        return self.lsa(LsaKind.ADJACENCIES, body, sequence, **fields)

    def addresses(
        self, services: Iterable[str], listeners: Iterable[str] = (), sequence: int = 1
    ) -> Lsa:
        body = AddressesBody(
            tuple(Service(address, "tcp") for address in services),
            tuple(Binding(address, "tcp") for address in listeners),
        )
        return self.lsa(LsaKind.ADDRESSES, body, sequence)

    def lsa(
        self,
        kind: LsaKind,
        body: Body | bytes,
        sequence: int = 1,
        *,
        incarnation: int = 1,
        lifetime: float = 900.0,
    ) -> Lsa:
        encoded = body if isinstance(body, bytes) else encode_body(body)
        version = LsaVersion(incarnation, sequence)
        signature = self.keyring.sign(signed_bytes(self.site, kind, version, encoded))
        return Lsa(self.site, kind, incarnation, sequence, lifetime, encoded, signature)


class Conversation:
    """One engine, called `us`, at a time that the test sets."""

    def __init__(self, *, timers: Timers | None = None, incarnation: int = 1) -> None:
        self.now = 100.0
        self.authority = Authority()
        self.keyring: SiteKeyring = self.authority.issue("us")
        self.engine = Engine(
            "us",
            self.keyring,
            incarnation=incarnation,
            timers=timers or Timers(),
            rng=Random(1),
            now=self.now,
        )

    def author(self, site: str, **permissions: Any) -> Author:
        return Author(self.authority, site, **permissions)

    def open(self, *neighbors: str, cost: int = 1, hold_time: float = 1.0) -> list[Action]:
        """Open links; the neighbours hold nothing."""
        for neighbor in neighbors:
            self.engine.link_opened(neighbor, cost=cost, hold_time=hold_time, now=self.now)
            self.engine.receive(neighbor, Digest(ALL_BUCKETS, (), is_last=True), now=self.now)
        self.wait(0.1)
        return self.actions()

    def wait(self, seconds: float) -> None:
        """Let time pass, with every timer on time."""
        until = self.now + seconds
        while (when := self.engine.next_timer()) <= until:
            self.now = max(self.now, when)
            self.engine.handle_timer(now=self.now)
        self.now = until

    def receive(self, neighbor: str, *lsas: Lsa) -> list[Action]:
        """Hand advertisements in; return what comes of them within a tenth of a second."""
        self.engine.receive(neighbor, Advertisements(lsas), now=self.now)
        self.wait(0.1)
        return self.actions()

    def actions(self) -> list[Action]:
        found = []
        while (action := self.engine.next_action()) is not None:
            found.append(action)
        return found


def of_type(actions: Iterable[Action], form: type[A]) -> list[A]:
    return [action for action in actions if isinstance(action, form)]


def messages(actions: Iterable[Action], form: type[M], neighbor: str | None = None) -> list[M]:
    """Return the messages of a form that are sent to one neighbour, or to any."""
    return [
        action.message
        for action in of_type(actions, Send)
        if isinstance(action.message, form) and neighbor in (None, action.neighbor)
    ]


def lsas(actions: Iterable[Action], neighbor: str | None = None) -> list[Lsa]:
    """Return the advertisements sent to one neighbour, or to any."""
    return [lsa for message in messages(actions, Advertisements, neighbor) for lsa in message.lsas]


def same(lsa: Lsa) -> Lsa:
    """Return an advertisement with its lifetime set aside."""
    return msgspec.structs.replace(lsa, lifetime=0.0)
