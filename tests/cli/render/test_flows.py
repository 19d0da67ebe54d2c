"""Flows, and how they ended, as tables."""

from van.cli.render.flows import endings_section, live_section
from van.cli.render.layout import plain_text
from van.control.values.flows import FlowEnding

ENDING = FlowEnding(
    id="1.1",
    at="2026-03-01T12:00:00.000Z",
    ending="refused",
    detail="dbhost: the target refuses: connection refused",
    role="ingress",
    protocol="tcp",
    address="db:5432",
    peer_site="dbhost",
    local="127.0.0.1:40000",
    lasted=0.1,
    bytes_in=0,
    bytes_out=1234,
)


def test_an_ending_has_address_peer_bytes_and_why():
    shown = plain_text([endings_section([ENDING])])
    for part in ("12:00:00", "refused", "db:5432", "dbhost", "1.2 kB", ENDING.detail):
        assert part in shown


def test_what_is_not_there_is_said_in_words():
    assert "no flow has ended" in endings_section([]).empty
    assert "no flow begins or ends" in live_section([], 0).empty
