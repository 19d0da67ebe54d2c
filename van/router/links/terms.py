"""What can be changed of a link while it is there: its cost, and how long it may be silent.

Either end may change it. The other is told, and each keeps what it has on disk of the link.
"""

import attrs

from van.config import AUTO, LinkConfig
from van.errors import NotFound
from van.router.links.dialer import Dialers
from van.router.links.link import HEARTBEATS_PER_HOLD, Link, bounded_hold_time
from van.router.links.routes import Routes
from van.router.site.settings import Settings
from van.router.telemetry.events import EventKind, EventLog
from van.wire.fields import AUTO_COST
from van.wire.link import CostChange, HoldChange


class LinkTerms:
    """Changes costs and hold times, for both ends."""

    def __init__(
        self,
        settings: Settings,
        routes: Routes,
        event_log: EventLog,
        up: dict[str, Link],
        dialing: Dialers,
    ) -> None:
        self._settings = settings
        self._routes = routes
        self._event_log = event_log
        self._up = up
        self._dialing = dialing

    def set_cost(self, neighbor: str, cost: int) -> None:
        """Change a link's cost for both sides; it may be `AUTO_COST`. Raises `NotFound`."""
        link, config = self._find(neighbor)
        if config is not None:
            self._keep(attrs.evolve(config, cost=cost))
        if link is not None:
            link.send(CostChange(cost))
            self._adopt_cost(link, cost)

    def set_hold_time(self, neighbor: str, seconds: float) -> None:
        """Change for both sides how long a link may be silent. Raises `NotFound`."""
        link, config = self._find(neighbor)
        if config is not None:
            self._keep(attrs.evolve(config, hold=seconds))
        if link is not None:
            self._adopt_hold(link, seconds)
            link.send(HoldChange(link.heartbeat_interval))

    def receive(self, link: Link, message: CostChange | HoldChange) -> None:
        """Do as the neighbour does; raises `StorageError` when that can't be kept."""
        config = self._settings.link(link.neighbor)
        match message:
            case CostChange(cost):
                self._adopt_cost(link, cost)
                if config is not None:
                    self._keep(attrs.evolve(config, cost=cost))
            case HoldChange(heartbeat_interval):
                self._adopt_hold(link, bounded_hold_time(heartbeat_interval * HEARTBEATS_PER_HOLD))
                if config is not None:
                    self._keep(attrs.evolve(config, hold=link.hold_time))

    def _find(self, neighbor: str) -> tuple[Link | None, LinkConfig | None]:
        link, config = self._up.get(neighbor), self._settings.link(neighbor)
        if link is None and config is None:
            raise NotFound(f"no link to site {neighbor!r}: see 'van link list'")
        return link, config

    def _keep(self, config: LinkConfig) -> None:
        """Keep how a link is to be, for the time when it is dialled again."""
        self._settings.put_link(config)
        self._dialing.adopt(config)

    def _adopt_cost(self, link: Link, cost: int) -> None:
        if cost != link.cost:
            text = f"cost {describe_cost(cost)}; before that, {describe_cost(link.cost)}"
            self._event_log.record(EventKind.COST_CHANGED, link.neighbor, text)
        link.cost = cost
        self._routes.set_link_cost(link.neighbor, cost)

    def _adopt_hold(self, link: Link, seconds: float) -> None:
        link.hold_time = seconds
        self._routes.set_link_pace(
            link.neighbor, hold_time=seconds, heartbeat_interval=link.heartbeat_interval
        )


def describe_cost(cost: int) -> str:
    """Return a link's cost as people write it."""
    return AUTO if cost == AUTO_COST else str(cost)
