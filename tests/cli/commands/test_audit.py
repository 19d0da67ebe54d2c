"""The audit trail is shown, and a tampered one is told of."""

import json
from datetime import UTC, datetime

import pytest

from van.cli.commands import audit
from van.control.values.audit import AuditCopyInfo, AuditInfo, AuditRecordInfo
from van.errors import LocalError, RouterDown
from van.paths import site_paths


@pytest.mark.process
def test_the_trail_is_shown_and_a_removed_line_told(van, running):
    assert "nothing yet: whom a site lets in" in van("audit").stdout
    van("link", "create", "--for", "laptop", "--tag", "prod")
    van("policy", "closed")
    van("link", "create")
    shown = " ".join(van("audit").stdout.split())
    assert "for laptop; tags prod; expose *;" in shown
    assert "for anyone; tags none; expose *;" in shown
    assert "policy-changed" in shown
    found = json.loads(van("audit", "--json", "--since", "1h").stdout)
    assert found["records"][0]["text"].endswith("bind *; may not invite; 1 use")
    assert [each["kind"] for each in found["records"]] == [
        "token-minted",
        "policy-changed",
        "token-minted",
    ]
    assert json.loads(van("audit", "--json", "--since", "2100-01-01").stdout)["records"] == []
    assert json.loads(van("audit", "--json", "--by", "east").stdout)["records"] == []
    assert len(json.loads(van("audit", "--json", "--by", "west").stdout)["records"]) == 3
    file = site_paths("west").audit_file
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    done = van("audit")
    assert done.returncode == 1
    assert "tampered with: records 2 to 3 at the end were removed" in done.stderr


def record(site, number, second=0):
    at = datetime(2026, 11, 29, 8, 0, second, tzinfo=UTC)
    return AuditRecordInfo(number, at, site, "site-let-in", "laptop", "by a token")


class Source:
    """Answers one after the other; an error is raised."""

    def __init__(self, *answers):
        self._answers = iter(answers)

    def audit(self):
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_what_is_recorded_later_is_shown_once_also_of_a_trail_that_comes_late(monkeypatch, capsys):
    monkeypatch.setattr(audit, "INTERVAL", 0.0)
    hub1, hub2, east1 = record("hub", 1), record("hub", 2, 5), record("east", 1, 2)
    source = Source(
        AuditInfo((hub1,), ()),
        RouterDown("the router does not run"),
        AuditInfo((hub1, hub2), ()),
        AuditInfo((hub1, east1, hub2), ()),
        AuditInfo((hub1, east1, hub2), ("record 2 was changed",)),
    )
    shown: list[AuditRecordInfo] = []
    with pytest.raises(LocalError, match="tampered with: record 2 was changed"):
        shown.extend(audit.stream(source, begin=0.0, by=None))
    assert shown == [hub1, hub2, east1]  # what there is comes before the trouble
    assert "does not run: waiting for it" in capsys.readouterr().err
    stream = audit.stream(Source(AuditInfo((hub1, east1, hub2), ())), begin=0.0, by="east")
    assert next(stream) == east1


def test_where_copies_are_is_shown():
    from van.cli.render.audit import copies_section

    (section,) = copies_section([AuditCopyInfo("east", 7, ""), AuditCopyInfo("edge", 0, "busy")])
    assert [[cell.text for cell in row] for row in section.rows] == [
        ["east", "7", ""],
        ["edge", "none yet", "busy"],
    ]
    assert copies_section([]) == []
