"""What carries the flows between this site and others, for `van status`; changes nothing."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from van.control.values.bundles import BundlesStatus
from van.router.bundles.condition import bundles_status
from van.router.data_plane import Channels
from van.router.egress.stream import EgressStream
from van.router.ingress.stream import IngressStream

if TYPE_CHECKING:
    from van.router.bundles.bundle import Bundle

INGRESS, EGRESS = "ingress", "egress"


def bundle_statuses(channels: Channels) -> tuple[BundlesStatus, ...]:
    """Return how the bundles with each site are, by the end that opens the flows."""
    bulk = Counter(_bulk(channels))
    found: dict[tuple[str, str], Collection[Bundle]] = dict.fromkeys(bulk, ())
    found |= {(site, INGRESS): each for site, each in channels.bundles.by_site().items()}
    found |= {(site, EGRESS): each for site, each in channels.served.by_site().items()}
    return tuple(
        bundles_status(site, role, bundles, bulk=bulk[site, role])
        for (site, role), bundles in sorted(found.items())
    )


def _bulk(channels: Channels) -> Iterator[tuple[str, str]]:
    """Yield for each flow with a channel of its own the site at the other end, and which end is
    here."""
    for channel in channels.table.channels():
        if isinstance(channel.user, IngressStream):
            yield channel.site, INGRESS
        elif isinstance(channel.user, EgressStream):
            yield channel.site, EGRESS
