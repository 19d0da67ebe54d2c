"""All bundles between two sites, as one end has them: how they fare, and how many are wanted.

What the kernel tells of each is looked at while something moves, and not otherwise.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from van.errors import RemoteProtocolError
from van.router.bundles.progress import Progress
from van.router.bundles.tail import Tail
from van.router.bundles.width import LONG, MOST, Moved, Width
from van.router.reactor.loop import EventLoop
from van.router.reactor.tcp_info import TcpInfo
from van.wire.bundle import REPEAT, unpack_repeat
from van.wire.channel import Kind

if TYPE_CHECKING:
    from van.router.bundles.bundle import Bundle

SHORT_INTERVAL: Final = 1.0
"""Seconds between two looks at bundles along a short path that loses nothing."""
LONG_INTERVAL: Final = 0.25
"""The same along a long one, where windows are what holds flows up."""
MIN_INTERVAL: Final = 0.01
"""The least along one that has lost something of late, where half a round trip is right to see a
bundle that stands still."""
MAX_INTERVAL: Final = 0.1
"""The most there."""
MAX_WATCHED: Final = 2 * MOST
"""Bundles that are looked at: twice what is wanted, for older ones have their last flows still."""
BULK_STAYS: Final = 2.0
"""Seconds for which what waits for the path may be that of a flow which has been bulk."""
_COUNTERS: Final = 0xFFFFFFFF


@attrs.define(eq=False)
class _Watched:
    """One of the bundles, and how it was at the last look."""

    info: TcpInfo
    progress: Progress


class Siblings:
    """The bundles that there are, in the order in which they were made; in the loop's thread."""

    def __init__(self, loop: EventLoop, on_change: Callable[[], None] | None = None) -> None:
        self._loop = loop
        self.on_change = on_change
        """Called when another number of bundles is wanted, if anybody is to know."""
        self.wanted = 1
        """How many bundles would be best: for what this end sends, and, at the ingress, for what
        the egress does; no property, as each flow asks."""
        self._width = Width()
        self._asked = 1
        self._watched: dict[Bundle, _Watched | None] = {}
        self._by_name: dict[bytes, Bundle] = {}
        self._is_looking = False
        self._looked_at = 0.0
        self._bulk_until = 0.0

    def __len__(self) -> int:
        """Return how many bundles there are."""
        return len(self._watched)

    @property
    def is_lossy(self) -> bool:
        """Tell whether something that this end sent has been lost of late."""
        return self._width.is_lossy(self._loop.clock())

    @property
    def newest(self) -> "Bundle | None":
        """Return the bundle that was made last."""
        return next(reversed(self._watched), None)

    def add(self, bundle: "Bundle") -> None:
        """Look after one more."""
        is_one_too_many = len(self) >= MAX_WATCHED
        info = None if is_one_too_many else bundle.channel.tcp_info()
        self._by_name[bundle.identifier] = bundle
        self._watched[bundle] = None if info is None else _Watched(info, Progress())
        bundle.is_unwatched = info is not None
        if info is not None:
            self._width.begin(info.shortest)
            self.wanted = max(self._width.wanted, self._asked)

    def remove(self, bundle: "Bundle") -> None:
        """Look after one no more, if it was."""
        self._watched.pop(bundle, None)
        self._by_name.pop(bundle.identifier, None)
        for each in self._watched:
            if each.way_round is bundle:
                each.way_round = None

    def asked_for(self, count: int) -> None:
        """Take note of how many bundles the other end would make use of."""
        self._asked = min(count, MOST)
        self._want_again()

    def _want_again(self) -> None:
        before, self.wanted = self.wanted, max(self._width.wanted, self._asked)
        if self.wanted != before and self.on_change is not None:
            self.on_change()

    def wake(self) -> None:
        """Look from now on, until nothing moves any more: a bundle at rest has sent something."""
        for bundle in self._watched:
            bundle.is_unwatched = False
        if not self._is_looking:
            self._is_looking = True
            self._looked_at = self._loop.clock()
            self._loop.call_later(self._interval(self._looked_at), self._look)

    def _interval(self, now: float) -> float:
        found = [each.info for each in self._watched.values() if each is not None]
        if self._width.is_lossy(now):
            least = min((each.round_trip for each in found), default=MAX_INTERVAL)
            return min(max(MIN_INTERVAL, least / 2), MAX_INTERVAL)
        is_long = any(each.shortest >= LONG for each in found)
        return LONG_INTERVAL if is_long else SHORT_INTERVAL

    def _look(self) -> None:
        self._is_looking = False
        now = self._loop.clock()
        moved = self._gather(now)
        if moved is not None:
            self._width.look(moved, now)
            self._looked_at = now
            self._look_after_tails(now)
            self._is_looking = True
            self._loop.call_later(self._interval(now), self._look)
        else:
            for bundle, watched in self._watched.items():
                bundle.is_unwatched = watched is not None
        self._want_again()

    def _look_after_tails(self, now: float) -> None:
        """Keep the last that each has sent, or do so no more, and say again what is held up."""
        is_kept = self._width.is_lossy(now) and len(self) > 1
        for bundle, watched in list(self._watched.items()):
            if not is_kept or watched is None:
                bundle.tail = None
            elif bundle.tail is None:
                bundle.tail = Tail(bundle.sent)
            elif bundle.is_stalled:
                self.repeat(bundle)
            else:
                bundle.tail.trim(bundle.channel.unsent)

    def repeat(self, bundle: "Bundle") -> None:
        """Say over another bundle what the other end may not have got of one that stands still."""
        tail, other = bundle.tail, self._way_round(bundle)
        if tail is None or other is None or not bundle.channel.is_open:
            return
        if bundle.way_round is not other:
            bundle.way_round = other
            tail.begin_again()
        for position, data in tail.repeats(bundle.channel.unsent):
            other.add(Kind.REPEAT, 0, REPEAT.pack(bundle.identifier, position) + data)

    def _way_round(self, bundle: "Bundle") -> "Bundle | None":
        """Return one that gets on: the same as before, if that does."""
        others = [each for each in self._watched if each.gets_on and each is not bundle]
        return bundle.way_round if bundle.way_round in others else next(iter(others), None)

    def receive_repeat(self, bundle: "Bundle", payload: memoryview) -> None:
        """Take what is said on one bundle of another one, when all that is ready has been read.

        Raises `RemoteProtocolError` if it can't be; what is of none that there is, is dropped.
        """
        name, position, data = unpack_repeat(payload)
        held_up = self._by_name.get(name)
        if held_up is bundle:
            raise RemoteProtocolError("a bundle repeats what was said on it itself")
        if held_up is not None:
            self._loop.at_turn_end(partial(held_up.receive_repeat, position, data))

    def _gather(self, now: float) -> Moved | None:
        """Return what has been sent since the last look; None if nothing has, nor is to be."""
        segments = lost = 0
        is_moving = is_waiting = False
        infos = []
        for bundle, watched in self._watched.items():
            if watched is None or (info := bundle.channel.tcp_info()) is None:
                continue
            segments += (info.sent - watched.info.sent) & _COUNTERS
            lost += (info.repeated - watched.info.repeated) & _COUNTERS
            is_moving = is_moving or bool(info.in_flight or info.unsent)
            is_waiting = is_waiting or bool(info.unsent)
            if bundle.had_bulk:
                bundle.had_bulk, self._bulk_until = False, now + BULK_STAYS
            watched.info = info
            watched.progress.look(info, now)
            bundle.is_stalled = watched.progress.is_stalled
            infos.append(info)
        if not infos or not (segments or is_moving):
            return None
        return Moved(
            now - self._looked_at,
            segments,
            lost,
            round_trip=sum(each.round_trip for each in infos) / len(infos),
            shortest=min(each.shortest for each in infos),
            bundles=len(infos),
            is_held_up=is_waiting and now >= self._bulk_until,
        )
