"""What carries the flows between a site and others, as a table, and how that is chosen."""

from collections.abc import Sequence
from typing import Final

from van.cli.render.humanize import format_round_trip
from van.cli.render.tables import WARN, Cell, Section, numeric
from van.control.values.bundles import BundlesStatus
from van.control.values.status import RouterStatus

FEW: Final = 1000
"""Segments of which no share is told."""
LEAST_SHARE: Final = 0.001
"""The least that is told as a number."""


def bundles_section(bundles: Sequence[BundlesStatus]) -> Section:
    """Return the bundles with each site, for each end that this site is of them."""
    return Section(
        "Bundles",
        (
            *("SITE", "ROLE", "BUNDLES", "FLOWS", "BULK", "RTT", "RESENT", "CONGESTION"),
            "DETAIL",
        ),
        [
            (
                Cell(each.site),
                Cell(each.role),
                numeric(each.bundles),
                numeric(each.flows),
                numeric(each.bulk or None),
                numeric(
                    None if each.round_trip_ms is None else format_round_trip(each.round_trip_ms)
                ),
                numeric(_resent(each)),
                Cell(", ".join(each.congestion)),
                Cell(_detail(each), WARN),
            )
            for each in bundles
        ],
        folds=("CONGESTION", "RTT", "ROLE", "RESENT", "FLOWS", "BULK"),
    )


def _resent(bundles: BundlesStatus) -> str:
    """Return what share was sent again; of few, how many: two of twenty say little of a path."""
    if not bundles.segments:
        return ""
    if not bundles.repeated:
        return "0 %"
    if bundles.segments < FEW:
        return f"{bundles.repeated} of {bundles.segments}"
    share = bundles.repeated / bundles.segments
    return f"{100 * share:.1f} %" if share >= LEAST_SHARE else "< 0.1 %"


def _detail(bundles: BundlesStatus) -> str:
    found = ((bundles.stalled, "stalled"), (bundles.recovering, "recovering"))
    return ", ".join(f"{count} {state}" for count, state in found if count)


def describe_congestion(router: RouterStatus) -> str:
    """Return which congestion control new connections to other sites get, and who has chosen."""
    if router.congestion_failure:
        return f"{router.congestion}, in the place of {router.congestion_chosen}"
    if router.congestion_chosen:
        return f"{router.congestion}, as config.toml says"
    return f"{router.congestion}, the system's; [router] congestion in config.toml chooses"
