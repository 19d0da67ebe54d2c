"""The totals of a router, as people want to see them: what went wrong, and what passed through."""

from van.cli.render.humanize import format_bytes
from van.cli.render.tables import PLAIN, WARN, Cell, Section
from van.control.values.status import Counters


def is_interesting(counters: Counters) -> bool:
    """Tell whether the totals say more than that flows were opened."""
    return any(
        (
            counters.flows_refused,
            counters.flows_reset,
            counters.relays,
            counters.relayed_bytes,
            counters.refused_connections,
            counters.dropped_advertisements,
            counters.dropped_probes,
            counters.dropped_datagrams,
            counters.multicast_bytes,
        )
    )


def counters_section(counters: Counters) -> Section:
    """Return the totals since the router started, without those that are zero."""
    rows = [
        ("flows opened", _some(counters.flows_opened), PLAIN),
        ("flows refused", _some(counters.flows_refused), WARN),
        ("flows reset", _some(counters.flows_reset), WARN),
        ("relays through here", _some(counters.relays), PLAIN),
        ("relayed", format_bytes(counters.relayed_bytes) if counters.relayed_bytes else "", PLAIN),
        ("refused on the link port", _causes(counters.refused_connections), WARN),
        ("advertisements dropped", _causes(counters.dropped_advertisements), WARN),
        ("probes dropped", _causes(counters.dropped_probes), WARN),
        ("multicast to neighbours", _sizes(counters.multicast_bytes), PLAIN),
        ("datagrams dropped", _causes(counters.dropped_datagrams), WARN),
    ]
    return Section(
        "Counters", (), [(Cell(name), Cell(text, tone)) for name, text, tone in rows if text]
    )


def _some(count: int) -> str:
    return str(count) if count else ""


def _sizes(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} {format_bytes(size)}" for name, size in sorted(sizes.items()))


def _causes(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {cause}" for cause, count in sorted(counts.items()) if count)
