"""Paths along which channels could not be made of late, though routing holds them for sound.

A site may answer heartbeats and pass nothing on. Nobody but those whose channels it was to pass on
can tell, and they take another path meanwhile.
"""

from collections.abc import Mapping
from typing import Final

import attrs
import trio

from van.router.telemetry.events import EventKind, EventLog
from van.routing.paths.spf import Route

MIN_DOUBT: Final = 10.0
MAX_DOUBT: Final = 60.0
"""Seconds for which a path comes last, which double from the least to the most with each further
failure; unless a channel could be made along it meanwhile."""
TELL_AFTER: Final = 1.0
"""Seconds for which a path goes on failing before that is told: tables on it may be behind."""


@attrs.define(eq=False)
class _Doubt:
    began_at: float
    path: tuple[str, ...]
    """The best path to the site, as routing had it when this one failed last."""
    lasts: float = MIN_DOUBT
    ends_at: float = 0.0
    is_told: bool = False


class Doubts:
    """Which paths are doubtful, by the neighbour that they begin with and the site they lead to.

    All in trio's thread. What is known of a path goes with its link, when it is well again, and
    when routing finds another best path to the site: what failed by older tables may be well now.
    """

    def __init__(self, event_log: EventLog) -> None:
        self._event_log = event_log
        self._doubts: dict[tuple[str, str], _Doubt] = {}

    def __len__(self) -> int:
        return len(self._doubts)

    def is_doubtful(self, hop: str, site: str) -> bool:
        """Tell whether another path is to be tried first."""
        doubt = self._doubts.get((hop, site))
        return doubt is not None and trio.current_time() < doubt.ends_at

    def failed(
        self, hop: str, site: str, why: str, *, best: tuple[str, ...], is_silent: bool = False
    ) -> None:
        """Take note that no channel could be made along a path; `best` is routing's best one to
        the site at present, whether or not it is this one."""
        now = trio.current_time()
        doubt = self._doubts.get((hop, site))
        if doubt is None:
            doubt = self._doubts[hop, site] = _Doubt(now, best)
        elif now >= doubt.ends_at:
            doubt.lasts = min(MAX_DOUBT, doubt.lasts * 2)
        doubt.path = best
        doubt.ends_at = now + doubt.lasts
        if not doubt.is_told and (is_silent or now >= doubt.began_at + TELL_AFTER):
            doubt.is_told = True
            way = "its link" if hop == site else f"site {hop!r}"
            text = f"no channel over {way}: {why}; another path is tried first"
            self._event_log.record(EventKind.PATH_FAILED, site, text)

    def worked(self, hop: str, site: str) -> None:
        """Take note that a channel could be made along a path."""
        doubt = self._doubts.pop((hop, site), None) if self._doubts else None
        if doubt is not None and doubt.is_told:
            way = "its link" if hop == site else f"site {hop!r}"
            self._event_log.record(EventKind.PATH_WELL, site, f"channels over {way} again")

    def link_closed(self, hop: str) -> None:
        """Forget the paths over a link that has gone."""
        for key in [key for key in self._doubts if key[0] == hop]:
            del self._doubts[key]

    def rerouted(self, routes: Mapping[str, Route]) -> None:
        """Forget the paths to sites to which no path leads any more, or another one than when they
        failed."""
        for key, doubt in list(self._doubts.items()):
            route = routes.get(key[1])
            if route is None or route.path != doubt.path:
                del self._doubts[key]
