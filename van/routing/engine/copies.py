"""Two routers with the keys of one site, as of a machine that was cloned, somewhere in the network.

Each finds that the network knows its name by a newer incarnation, and takes a higher one, in turn.
So everybody sees a *run* come back that another has taken over from. A router that was started anew
does not come back: it is another run, and the one before it is over.
"""

from collections.abc import Container
from typing import Final

import attrs

MIN_RETURNS: Final = 3
"""Returns of another run after which this router is sure, and makes way if it is the younger: once,
an old advertisement may come back from a part of the network that was cut off."""


@attrs.frozen
class Run:
    """One run of a router, as it advertises it."""

    id: int = 0
    """0 if it does not say."""
    started_at: float = 0.0
    """In seconds since 1970."""
    software: str = ""
    """Version of van that runs."""

    def is_elder_than(self, other: "Run") -> bool:
        """Tell whether it began before another, as both say."""
        return 0.0 < self.started_at < other.started_at


UNTOLD: Final = Run()


@attrs.define
class _Turns:
    latest: int
    before: int = 0
    returns: int = 0


class Copies:
    """Knows of each site which run advertised last, and which one before it."""

    def __init__(self, site: str, run: Run) -> None:
        self._ours = run
        self._turns: dict[str, _Turns] = {}
        self._site = site

    def receive(self, origin: str, run: Run) -> bool:
        """Take the run of an identity that is newer than what is held; tell whether another one had
        taken over from it, so that there are two."""
        if not run.id:
            return False
        if origin == self._site:
            self._take(origin, self._ours.id)  # which had the last word until now
        return self._take(origin, run.id)

    def must_make_way(self, run: Run) -> bool:
        """Tell whether another run of this site is surely there, and is the elder."""
        turns = self._turns[self._site]
        return turns.returns >= MIN_RETURNS and run.is_elder_than(self._ours)

    def forget_but(self, held: Container[str]) -> None:
        """Forget sites that are not held any more."""
        gone = [each for each in self._turns if each not in held and each != self._site]
        for each in gone:
            del self._turns[each]

    def _take(self, origin: str, run: int) -> bool:
        turns = self._turns.setdefault(origin, _Turns(run))
        if run == turns.latest:
            return False
        has_returned = run == turns.before
        if not has_returned:
            turns.returns = 0
        elif run != self._ours.id:
            turns.returns += 1
        turns.latest, turns.before = run, turns.latest
        return has_returned
