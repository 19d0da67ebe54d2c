"""What carries flows is shown as far as there is something to say of it."""

import pytest

from tests.cli.values import make_bundles, make_flow, make_router, make_status
from van.cli.render.bundles import bundles_section, describe_congestion
from van.cli.render.layout import plain_text
from van.cli.render.status import flows_section, site_section, status_sections
from van.cli.render.tables import WARN
from van.cli.render.trouble import find_troubles


def rows(section, width=None):
    return [" ".join(line.split()) for line in plain_text([section], width).splitlines()[1:]]


def test_what_is_nothing_has_no_column():
    heading, row = rows(bundles_section([make_bundles(round_trip_ms=None, congestion=())]))
    assert heading == "SITE ROLE BUNDLES FLOWS RESENT"
    assert row == "east ingress 2 5 0 %"


def test_bulk_and_what_holds_up_are_told():
    heading, row = rows(
        bundles_section([make_bundles(bulk=1, repeated=25, stalled=1, recovering=2)])
    )
    assert heading == "SITE ROLE BUNDLES FLOWS BULK RTT RESENT CONGESTION DETAIL"
    assert row == "east ingress 2 5 1 1.20 ms 2.5 % bbr 1 stalled, 2 recovering"


@pytest.mark.parametrize(
    ("segments", "repeated", "share"),
    [(0, 0, ""), (9, 0, "0 %"), (10**6, 1, "< 0.1 %"), (10**6, 1000, "0.1 %"), (4, 1, "1 of 4")],
)
def test_a_share_is_told_as_far_as_it_matters(segments, repeated, share):
    section = bundles_section([make_bundles(segments=segments, repeated=repeated)])
    assert section.rows[0][section.headings.index("RESENT")].text == share


def test_a_narrow_screen_keeps_the_number_of_bundles_and_what_holds_them_up():
    text = plain_text([bundles_section([make_bundles(bulk=3, stalled=1)])], 40)
    assert "BUNDLES" in text
    assert "1 stalled" in text
    assert all(len(line) <= 40 for line in text.splitlines())


def test_a_site_without_bundles_has_no_section_of_them():
    assert "Bundles" not in [each.title for each in status_sections(make_status(bundles=()))]


def test_a_flow_that_is_bulk_is_told_apart():
    heading, *found = rows(flows_section([make_flow(), make_flow(is_bulk=True)], 2))
    assert heading.endswith(" OUT CARRIER")
    assert [each.endswith(" channel") for each in found] == [False, True]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"congestion": "bbr", "congestion_chosen": "bbr"}, "bbr, as config.toml says"),
        ({"congestion": "cubic"}, "cubic, the system's; "),
        (
            {"congestion": "cubic", "congestion_chosen": "bbr", "congestion_failure": "no"},
            "cubic, in the place of bbr",
        ),
    ],
)
def test_who_has_chosen_the_congestion_control_is_told(changes, text):
    router = make_router(**changes)
    assert describe_congestion(router).startswith(text)
    assert f"congestion {describe_congestion(router)}" in rows(site_section(router))


def test_where_the_kernel_does_not_tell_of_congestion_control_nothing_is_said():
    assert not any(row.startswith("congestion") for row in rows(site_section(make_router())))


def test_a_congestion_control_that_can_not_be_used_is_a_trouble():
    failure = "this user may not choose it"
    router = make_router(congestion="cubic", congestion_chosen="bbr", congestion_failure=failure)
    troubles = find_troubles(make_status(router=router))
    (found,) = [each for each in troubles if each.kind == "congestion"]
    assert (found.name, found.state, found.why, found.tone) == ("bbr", "not used", failure, WARN)
