"""Which dropped advertisements are worth an event: the first of a kind, then ever fewer."""

from collections import Counter
from typing import Final

from van.routing.actions import AdvertisementDropped

MAX_KINDS: Final = 256
"""Kinds of drops that are told apart: a neighbour may invent any number of origins."""
OTHERS: Final = ""
"""Stands for all origins past that; neighbours and causes are few."""

_Key = tuple[str, str, str]


class DropTally:
    """Counts drops by neighbour, origin, and cause."""

    def __init__(self) -> None:
        self._counts: Counter[_Key] = Counter()

    def describe(self, drop: AdvertisementDropped) -> str | None:
        """Count a drop, and return what to say of it, or None when that has been said.

        It is said the first time, the tenth, the hundredth, and so on.
        """
        key = (drop.neighbor, drop.origin, drop.cause)
        if key not in self._counts and len(self._counts) >= MAX_KINDS:
            key = (drop.neighbor, OTHERS, drop.cause)
        self._counts[key] += 1
        count = self._counts[key]
        if not _is_power_of_ten(count):
            return None
        origin = "yet another origin" if key[1] == OTHERS else f"origin {drop.origin}"
        text = f"{origin}, passed on by {drop.neighbor}: {drop.cause}: {drop.detail}"
        return text if count == 1 else f"{text} ({count} times)"


def _is_power_of_ten(count: int) -> bool:
    while count % 10 == 0:
        count //= 10
    return count == 1
