import pytest

from tests.cli.values import (
    UNHEARD,
    make_counters,
    make_flow,
    make_link,
    make_router,
    make_site,
    make_status,
    make_token,
)
from van.cli.render.layout import plain_text
from van.cli.render.status import (
    EXPIRED,
    links_section,
    site_section,
    sites_section,
    status_sections,
    tokens_section,
)
from van.cli.render.tables import BAD, GOOD, PLAIN, WARN


def lines(sections):
    """Map each title to the words of its lines, for tests that don't mind the spacing."""
    return {
        section.title: [" ".join(line.split()) for line in plain_text([section]).splitlines()[1:]]
        for section in sections
    }


def test_a_status_is_shown_section_by_section():
    shown = lines(status_sections(make_status()))
    assert list(shown)[1:] == [
        "Trouble",
        "Links",
        "Sites",
        "Addresses",
        "Connectors",
        "Listeners",
        "Bundles",
        "Flows",
        "Site west",
    ]
    assert "hub up out 1 0.41 ms 0.1s 1m35s 3 127.0.0.1:7671" in shown["Links"]
    assert "north connecting out 1 0 127.0.0.1:7671" in shown["Links"]
    assert "hub hub 1 1 0 west" in shown["Sites"]
    assert "web:8080 tcp east west" in shown["Addresses"]
    assert "db:5432 tcp nowhere" in shown["Addresses"]
    assert "db:5432 tcp 127.0.0.1:5432 failing 0 connection refused" in shown["Connectors"]
    assert "web:8080 tcp 127.0.0.1:8080 open 2" in shown["Listeners"]
    assert "east ingress 2 5 1.20 ms 0 % bbr" in shown["Bundles"]
    assert "ingress web:8080 tcp east 127.0.0.1:50000 4.0s 1.2 kB 5.6 MB" in shown["Flows"]


def test_a_new_site_is_told_what_to_do_next():
    nothing = dict.fromkeys(("links", "addresses", "connectors", "listeners", "flows"), ())
    shown = lines(status_sections(make_status(**nothing, flows_total=0)))
    assert "van link create" in shown["Links"][0]
    assert "van expose" in shown["Addresses"][0]
    assert "van expose" in shown["Connectors"][0]
    assert "van bind" in shown["Listeners"][0]
    assert "Flows" not in shown


def test_the_way_to_each_site_is_told_apart():
    rows = {row[0].text: row[1] for row in sites_section(make_status().sites).rows}
    assert rows["west"].text == "(this site)"
    assert rows["hub"].text == "hub"
    assert (rows["moon"].text, rows["moon"].tone) == ("unreachable", BAD)


def test_versions_are_shown_where_they_differ():
    same = [make_site(version="1.2"), make_site(site="hub", version="1.2"), make_site(site="moon")]
    assert "VERSION" not in plain_text([sites_section(same)], None)
    differ = [*same, make_site(site="old", version="1.1")]
    text = plain_text([sites_section(differ)], None)
    assert "VERSION" in text
    assert "1.1" in text
    assert "VERSION" not in plain_text([sites_section(differ)], 32).partition("a wider")[0]


def test_states_have_colours():
    states = ("up", "damped", "connecting", "down")
    status = make_status(links=tuple(make_link(state=state) for state in states))
    assert [row[1].tone for row in links_section(status).rows] == [GOOD, WARN, WARN, BAD]


def test_a_cost_that_follows_the_round_trip_says_so():
    links = (
        make_link(cost=64),
        make_link(cost=64, is_auto_cost=True),
        make_link(cost=0, is_auto_cost=True, state="down", **UNHEARD),
    )
    rows = links_section(make_status(links=links)).rows
    assert [row[3].text for row in rows] == ["64", "64 auto", "auto"]


@pytest.mark.parametrize(
    ("transit", "text", "tone"),
    [
        ("yes", "yes: others may send", PLAIN),
        ("drained", "no: drained, until 'van site undrain'", WARN),
        ("declined", "no: nothing is ever sent", PLAIN),
        ("not-invented-yet", "not-invented-yet", PLAIN),
    ],
)
def test_whether_others_may_send_through_the_site_is_said_in_words(transit, text, tone):
    rows = site_section(make_router(transit=transit)).rows
    (cell,) = [row[1] for row in rows if row[0].text == "transit"]
    assert cell.text.startswith(text)
    assert cell.tone == tone


def test_sites_that_decline_transit_are_marked():
    shown = lines([sites_section([make_site(is_transit=False), make_site(site="hub")])])["Sites"]
    assert "west (this site) 0 0 no 1 hub" in shown
    assert "hub (this site) 0 0 1 hub" in shown


def test_who_may_do_what_is_said_in_words():
    shown = plain_text([site_section(make_router(allow_expose=("*",), allow_bind=()))])
    assert "may expose   anything" in shown
    assert "may bind     nothing" in shown


def test_an_expired_certificate_stands_out():
    rows = site_section(make_router(certificate_expires_in=-5.0)).rows
    certificate = next(row[1] for row in rows if row[0].text == "certificate")
    assert (certificate.text, certificate.tone) == (EXPIRED, BAD)
    assert "accept a new token" in EXPIRED


def test_a_site_that_others_dial_shows_where():
    shown = plain_text([site_section(make_router(listen="0.0.0.0:7671", advertise=("edge:7671",)))])
    assert "link port    0.0.0.0:7671" in shown
    assert "advertised   edge:7671" in shown


def test_only_the_oldest_flows_are_shown_and_the_rest_counted():
    flows = tuple(make_flow(id=str(number)) for number in range(200))
    shown = lines(status_sections(make_status(flows=flows, flows_total=1000)))["Flows"]
    assert len(shown) == 1 + 20 + 1
    assert shown[-1] == "and 980 more"


def test_opened_flows_alone_are_not_worth_counters():
    shown = lines(status_sections(make_status(counters=make_counters(flows_opened=9))))
    assert "Counters" not in shown


def test_counters_name_what_went_wrong():
    counters = make_counters(
        flows_opened=9,
        flows_refused=2,
        refused_connections={"expired": 3, "no token": 1},
        dropped_probes={"implausible": 2},
        dropped_datagrams={"path-blocked": 7},
        multicast_bytes={"west": 2048, "east": 12},
    )
    assert lines(status_sections(make_status(counters=counters)))["Counters"] == [
        "flows opened 9",
        "flows refused 2",
        "refused on the link port 3 expired, 1 no token",
        "probes dropped 2 implausible",
        "multicast to neighbours east 12 B, west 2.0 kB",
        "datagrams dropped 7 path-blocked",
    ]


def test_a_token_shows_how_often_it_was_used():
    shown = lines([tokens_section([make_token(), make_token(state="expired", expires_in=-3.0)])])
    assert "ab12 valid 10m 1/2 anyone east anything nothing no" in shown["Tokens"]
    assert "ab12 expired 1/2 anyone east anything nothing no" in shown["Tokens"]
