from van.cli.render.layout import plain_text
from van.cli.render.trace import trace_sections
from van.control.values.paths import Trace, TraceCandidate, TraceHop


def make_trace(**changes):
    values = {
        "target": "db:5432",
        "site": "east",
        "candidates": (TraceCandidate(site="east", cost=2, flows=3),),
        "hops": (
            TraceHop(site="hub", round_trip_ms=0.9),
            TraceHop(site="east", round_trip_ms=1.6),
        ),
        "has_arrived": True,
        "detail": "",
        "protocol": "tcp",
    }
    return Trace(**{**values, **changes})


def words(trace):
    lines = plain_text(trace_sections(trace)).splitlines()
    return [" ".join(line.split()) for line in lines if line]


def test_each_hop_is_shown_with_its_round_trip():
    assert words(make_trace()) == [
        "Path to db:5432",
        "HOP SITE RTT DETAIL",
        "1 hub 0.90 ms",
        "2 east 1.60 ms serves db:5432",
    ]


def test_the_protocol_of_an_address_is_said_where_it_is_not_the_usual_one():
    assert words(make_trace(protocol="udp"))[0] == "Path to udp db:5432"


def test_a_hop_that_does_not_answer_is_a_star():
    silent = (TraceHop(site="hub", round_trip_ms=None), TraceHop(site="east", round_trip_ms=1.6))
    assert words(make_trace(hops=silent))[2] == "1 hub *"


def test_the_other_sites_that_serve_an_address_are_listed():
    both = (*make_trace().candidates, TraceCandidate(site="west", cost=7, flows=0))
    assert words(make_trace(candidates=both))[4:] == [
        "Also served at",
        "SITE COST FLOWS FROM HERE",
        "west 7 0",
        "3 flows under way to east",
    ]


def test_a_target_at_this_site_needs_no_hop():
    assert words(make_trace(hops=()))[1] == "no hop: site east, this one, serves it"
    assert words(make_trace(hops=(), candidates=()))[1] == "no hop: east is this site"
