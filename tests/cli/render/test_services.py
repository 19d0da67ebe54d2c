"""`van services`, as people see it."""

from tests.cli.values import make_address
from van.cli.render.layout import plain_text
from van.cli.render.services import services_section


def words(sections):
    return [" ".join(line.split()) for line in plain_text(sections).splitlines() if line]


def test_addresses_are_listed_with_what_is_known_of_their_load():
    busy = make_address(in_flight=7.5, expected_delay_ms=12.0, dissenters=("east",))
    idle = make_address(address="db:5432", served_at=(), bound_at=(), flows=0)
    assert words([services_section([busy, idle])]) == [
        "Services",
        "ADDRESS PROTOCOL DISTRIBUTION SERVED AT BOUND AT FLOWS IN FLIGHT DELAY DETAIL",
        "web:8080 tcp balanced east west 2 7.5 12 ms exposed otherwise at east",
        "db:5432 tcp nowhere 0",
    ]


def test_nothing_is_said_so():
    assert "no addresses: 'van expose tcp NAME:PORT' where a server runs" in words(
        [services_section([])]
    )
