"""The audit trail is shown, and a tampered one is told of."""

import json

import pytest

from van.paths import site_paths

pytestmark = pytest.mark.process


def test_the_trail_is_shown_and_a_removed_line_told(van, running):
    assert "nothing yet: whom this site lets in" in van("audit").stdout
    van("link", "create", "--for", "laptop", "--tag", "prod")
    van("policy", "closed")
    van("link", "create")
    shown = van("audit").stdout
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
    file = site_paths("west").audit_file
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    done = van("audit")
    assert done.returncode == 1
    assert "tampered with: records 2 to 3 at the end were removed" in done.stderr
