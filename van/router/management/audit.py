"""The request about what this site has done with its authority."""

from typing import Final

import trio

from van.control.values.audit import AuditInfo, AuditRecordInfo
from van.router.site.audit import Audit, moment

MAX_TOLD: Final = 1000
"""Records of one answer."""


class AuditRequests:
    """Reads the audit trail."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def show(self) -> AuditInfo:
        """Return what is recorded, each signature checked; raise `StorageError`."""
        trail = await trio.to_thread.run_sync(self._audit.read)
        return AuditInfo(
            records=tuple(
                AuditRecordInfo(
                    number=each.number,
                    at=moment(each),
                    site=each.site,
                    kind=each.kind,
                    subject=each.subject,
                    text=each.text,
                )
                for each in trail.records[-MAX_TOLD:]
            ),
            troubles=trail.troubles,
        )
