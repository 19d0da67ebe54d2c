"""The request about what sites have done with their authority."""

from heapq import merge
from itertools import islice
from typing import Final

import trio

from van.control.values.audit import AuditCopyInfo, AuditInfo, AuditRecordInfo
from van.router.links.trail_keeper import TrailKeeper
from van.router.links.trail_sharing import TrailSharing
from van.router.site.audit import moment
from van.router.site.state import SiteState
from van.router.site.trail import AuditRecord, AuditTrail
from van.router.site.trail_copies import CopiedTrail

MAX_TOLD: Final = 1000
"""Records of one answer."""


class AuditRequests:
    """Reads the audit trails that are here."""

    def __init__(self, site: SiteState, keeper: TrailKeeper, sharing: TrailSharing) -> None:
        self._site = site
        self._keeper = keeper
        self._sharing = sharing

    async def show(self) -> AuditInfo:
        """Return what is recorded, all of it verified; raise `StorageError`."""
        ours, copied = await trio.to_thread.run_sync(self._read)
        troubles = list(ours.troubles)
        for each in copied:
            whose = f"copy of the trail of site {each.site!r} with key {each.key[:16]}…"
            troubles += (f"{whose}: {trouble}" for trouble in each.trail.troubles)
        troubles += self._keeper.refusals
        # Each trail stays in its own order, whatever its site's clock did.
        trails = [ours.records, *(each.trail.records for each in copied)]
        newest = merge(*(reversed(each) for each in trails), key=lambda each: -each.at)
        records = [_describe(each) for each in islice(newest, MAX_TOLD)]
        return AuditInfo(
            records=tuple(reversed(records)),
            troubles=tuple(troubles),
            copies=tuple(
                AuditCopyInfo(site=site, number=copy.kept, error=copy.error)
                for site, copy in sorted(self._sharing.copies.items())
            ),
        )

    def _read(self) -> tuple[AuditTrail, list[CopiedTrail]]:
        return self._site.audit.read(), self._site.trail_copies.read()


def _describe(record: AuditRecord) -> AuditRecordInfo:
    return AuditRecordInfo(
        number=record.number,
        at=moment(record),
        site=record.site,
        kind=record.kind,
        subject=record.subject,
        text=record.text,
    )
