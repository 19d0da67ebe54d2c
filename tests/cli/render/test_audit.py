"""`van audit`, as people see it."""

from datetime import UTC, datetime

from van.cli.render.audit import audit_section
from van.cli.render.layout import plain_text
from van.control.values.audit import AuditRecordInfo


def test_a_narrow_screen_shows_when_it_was():
    record = AuditRecordInfo(
        number=7,
        at=datetime(2026, 11, 29, 14, 5, tzinfo=UTC),
        site="hub",
        kind="authority-granted",
        subject="47a095de840713ad",
        text="key 2449dbedd45013af… by token 47a095de840713ad, as long as it takes",
    )
    shown = plain_text([audit_section([record])], 80)
    assert "2026-11-29 14:05:00Z" in shown
    assert max(map(len, shown.splitlines())) <= 80
