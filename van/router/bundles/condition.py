"""How the bundles with a site are, for `van status`: as the kernel tells of them."""

from collections.abc import Collection

from van.control.values.bundles import BundlesStatus
from van.router.bundles.bundle import Bundle


def bundles_status(
    site: str, role: str, bundles: Collection[Bundle], *, bulk: int
) -> BundlesStatus:
    """Return how some bundles with a site are, of which flows have left as bulk."""
    infos = [info for each in bundles if (info := each.channel.tcp_info()) is not None]
    round_trips = [info.round_trip for info in infos]
    return BundlesStatus(
        site=site,
        role=role,
        bundles=len(bundles),
        flows=sum(map(len, bundles)),
        bulk=bulk,
        congestion=tuple(sorted({each.channel.congestion for each in bundles} - {""})),
        round_trip_ms=1000 * sum(round_trips) / len(round_trips) if round_trips else None,
        segments=sum(info.sent for info in infos),
        repeated=sum(info.repeated for info in infos),
        stalled=sum(each.is_stalled for each in bundles),
        recovering=sum(info.is_recovering for info in infos),
    )
