"""Traces the path to a site: sends probes that end one hop later each, and times the answers."""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import trio

from van.errors import LocalError
from van.router.telemetry.probe import Forward, ProbeDrop, Probing
from van.wire.link import MAX_PROBE_PATH, Probe, ProbeOutcome, ProbeReply

ROUNDS: Final = 3
"""Probes to each hop, one after the other; the median of their round trips counts."""
PROBE_TIMEOUT: Final = 1.0
"""Seconds after which a probe counts as lost."""
MAX_PENDING: Final = 1024
"""Probes of this site that are not answered yet: sixteen traces of the longest path."""
MAX_HOPS: Final = MAX_PROBE_PATH - 1


@attrs.frozen
class Hop:
    """A site on the path; a round trip of None, in seconds, says that it did not answer."""

    site: str
    round_trip: float | None


@attrs.frozen
class Traced:
    """The hops of a path in order. What did not answer has the name that routing has for it."""

    hops: tuple[Hop, ...]
    outcome: ProbeOutcome | None
    """Whether the destination answered or why not; None when what came last was silence."""


@attrs.define(eq=False)
class Attempt:
    """One probe, and what came back of it."""

    destination: str
    hop_limit: int
    sent_at: float
    round_trip: float = 0.0
    reply: ProbeReply | None = None

    def receive(self, reply: ProbeReply, *, now: float) -> bool:
        """Take a reply; tell whether the probe can have ended where the reply says."""
        crossed = len(reply.path) - 1
        is_plausible = (
            crossed <= self.hop_limit + 1
            and (reply.path[-1] == self.destination) == (reply.outcome == ProbeOutcome.ARRIVED)
            and (crossed == self.hop_limit + 1 or reply.outcome != ProbeOutcome.EXPIRED)
        )
        if is_plausible:
            self.round_trip, self.reply = now - self.sent_at, reply
        return is_plausible


class Tracer:
    """Traces paths from this site, and takes part in the traces of others."""

    def __init__(
        self,
        site: str,
        *,
        next_hop: Callable[[str], str | None],
        send: Callable[[str, Probe | ProbeReply], None],
    ) -> None:
        self._site = site
        self._next_hop = next_hop
        self._send = send
        self._probing = Probing(site, next_hop)
        self._pending: dict[int, Attempt] = {}
        self._answered = trio.Event()
        # Whoever could guess the number of a probe could answer for a site that it never passed.
        self._rng = random.SystemRandom()

    @property
    def dropped(self) -> dict[str, int]:
        """Return how many probes and replies were not taken, by cause."""
        return dict(self._probing.dropped)

    def receive(self, neighbor: str, message: Probe | ProbeReply) -> None:
        """Take what a neighbour sent: send it on, answer it, or count it as dropped."""
        now = time.monotonic()
        decided: Forward | ProbeReply | None
        if isinstance(message, Probe):
            decided = self._probing.receive_probe(neighbor, message, now=now)
        else:
            decided = self._probing.receive_reply(neighbor, message, now=now)
        match decided:
            case Forward():
                self._send(decided.neighbor, decided.message)
            case ProbeReply():
                self._take(decided, now)

    def link_closed(self, neighbor: str) -> None:
        """Forget a neighbour."""
        self._probing.link_closed(neighbor)

    async def trace(self, path: Sequence[str]) -> Traced:
        """Trace the way to the last site of a path, which routing holds for the present one.

        The path begins with this site and has another one. Raises `LocalError` when too many
        traces are under way.
        """
        hops = min(len(path) - 1, MAX_HOPS)
        rounds = [await self._probe(path[-1], hops) for _ in range(ROUNDS)]
        return summarize(path, rounds)

    async def _probe(self, destination: str, hops: int) -> list[Attempt]:
        """Send a probe to each hop, and return them answered, or when the time is over."""
        if len(self._pending) + hops > MAX_PENDING:
            raise LocalError("too many traces are under way: wait a few seconds")
        attempts: dict[int, Attempt] = {}
        for hop_limit in range(hops):
            number = self._rng.getrandbits(63)
            attempts[number] = Attempt(destination, hop_limit, time.monotonic())
            next_hop = self._next_hop(destination)
            if next_hop is not None:
                self._send(next_hop, Probe(number, (self._site,), destination, hop_limit))
        self._pending |= attempts
        try:
            with trio.move_on_after(PROBE_TIMEOUT):
                while any(each.reply is None for each in attempts.values()):
                    await self._answered.wait()
        finally:
            for number in attempts:
                del self._pending[number]
        return list(attempts.values())

    def _take(self, reply: ProbeReply, now: float) -> None:
        attempt = self._pending.get(reply.id)
        if attempt is None or attempt.reply is not None:
            self._probing.drop(ProbeDrop.UNKNOWN)
        elif attempt.receive(reply, now=now):
            answered, self._answered = self._answered, trio.Event()
            answered.set()
        else:
            self._probing.drop(ProbeDrop.IMPLAUSIBLE)


def summarize(path: Sequence[str], rounds: Sequence[Sequence[Attempt]]) -> Traced:
    """Put together what the rounds found; where they differ, the last one is right."""
    names = dict(enumerate(path[1:], start=1))
    samples: dict[int, list[float]] = defaultdict(list)
    last: ProbeReply | None = None
    for attempts in rounds:
        replies = [(each.round_trip, each.reply) for each in attempts if each.reply is not None]
        for round_trip, reply in replies:
            place = len(reply.path) - 1
            if names.get(place) != reply.path[-1]:
                names[place] = reply.path[-1]
                samples[place].clear()
            samples[place].append(round_trip)
        if replies:
            last = max((reply for _, reply in replies), key=_reach)
    expected = min(len(path) - 1, MAX_HOPS)
    outcome = _outcome(last, expected)
    ended = outcome in {ProbeOutcome.ARRIVED, ProbeOutcome.NO_PATH}
    end = len(last.path) - 1 if last is not None and ended else expected
    return Traced(
        tuple(
            Hop(names[place], _middle(found) if (found := samples[place]) else None)
            for place in range(1, end + 1)
        ),
        outcome,
    )


def _middle(samples: list[float]) -> float:
    return sorted(samples)[len(samples) // 2]


def _reach(reply: ProbeReply) -> tuple[int, bool]:
    """Return how far a probe went, and whether it would have gone no further in any case."""
    return len(reply.path), reply.outcome != ProbeOutcome.EXPIRED


def _outcome(last: ProbeReply | None, expected: int) -> ProbeOutcome | None:
    """Return how the probe that went furthest ended; None when the next one met with silence."""
    if last is None:
        return None
    if last.outcome == ProbeOutcome.ARRIVED:
        return ProbeOutcome.ARRIVED
    if last.outcome == ProbeOutcome.EXPIRED:
        return ProbeOutcome.EXPIRED if len(last.path) - 1 == expected else None
    return ProbeOutcome.NO_PATH
