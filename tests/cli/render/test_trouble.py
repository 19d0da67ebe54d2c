"""What `van status` says before all else."""

import pytest

from tests.cli.values import (
    UNHEARD,
    make_address,
    make_connector,
    make_link,
    make_listener,
    make_router,
    make_site,
    make_status,
)
from van.cli.render.status import status_sections
from van.cli.render.tables import BAD, GOOD, WARN
from van.cli.render.trouble import SHOWN, find_troubles, summary_section, trouble_section

WELL = {
    "links": (make_link(),),
    "sites": (make_site(), make_site(site="hub", next_hop="hub")),
    "addresses": (make_address(),),
    "connectors": (make_connector(state="ready", detail=""),),
    "listeners": (make_listener(),),
}


def troubles(**changes):
    found = find_troubles(make_status(**{**WELL, **changes}))
    return [(each.kind, each.name, each.state, each.tone) for each in found]


def test_a_site_that_is_well_has_no_trouble_and_says_so_first():
    status = make_status(**WELL)
    assert troubles() == []
    first, second = status_sections(status)[:2]
    assert first.title == (
        "west: well; up 1h2m, 1 link up, 2 sites reached, 1 connector, 1 listener, 1 flow"
    )
    assert (first.tone, second.title) == (GOOD, "Links")


def test_trouble_is_told_before_the_tables():
    sections = status_sections(make_status())
    assert [each.title for each in sections[1:3]] == ["Trouble", "Links"]
    assert sections[0].title.startswith("west: 3 troubles; up 1h2m, 1 of 2 links up, 2 of 3 sites")
    assert sections[0].tone == BAD


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"links": (make_link(state="down", **UNHEARD),)}, ("link", "hub", "down", BAD)),
        ({"links": (make_link(state="damped"),)}, ("link", "hub", "damped", WARN)),
        ({"sites": (make_site(site="moon", next_hop=None),)},
         ("site", "moon", "unreachable", BAD)),
        ({"connectors": (make_connector(),)}, ("connector", "tcp db:5432", "failing", BAD)),
        ({"listeners": (make_listener(state="failed"),)},
         ("listener", "tcp web:8080", "failed", BAD)),
        ({"listeners": (make_listener(state="waiting"),)},
         ("listener", "tcp web:8080", "waiting", WARN)),
        ({"listeners": (make_listener(detail="east: refused"),)},
         ("listener", "tcp web:8080", "open", WARN)),
        ({"addresses": (make_address(address="x:1", served_at=()),)},
         ("address", "tcp x:1", "nowhere", WARN)),
        ({"addresses": (make_address(dissenters=("hub",)),)},
         ("address", "tcp web:8080", "disputed", WARN)),
        ({"router": make_router(certificate_expires_in=-1.0)},
         ("certificate", "west", "expired", BAD)),
        ({"router": make_router(certificate_expires_in=60.0)},
         ("certificate", "west", "expires soon", WARN)),
        ({"router": make_router(transit="drained")}, ("transit", "west", "drained", WARN)),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(changes, trouble):
    assert troubles(**changes) == [trouble]


def test_what_is_given_up_on_purpose_is_no_trouble():
    assert troubles(connectors=(make_connector(state="draining"),)) == []
    assert troubles(router=make_router(transit="declined")) == []


def test_an_address_that_waits_here_is_told_once():
    waits = make_listener(state="waiting")
    address = make_address(served_at=())
    assert [each[0] for each in troubles(listeners=(waits,), addresses=(address,))] == ["listener"]


def test_the_worst_comes_first_and_a_flood_is_counted():
    links = tuple(make_link(neighbor=f"n{number}", state="damped") for number in range(30))
    found = find_troubles(make_status(**{**WELL, "links": (*links, make_link(state="down"))}))
    assert found[0].state == "down"
    table = trouble_section(found)
    assert len(table.rows) == SHOWN
    assert table.note == "and 11 more"
    assert summary_section(make_status(**WELL), found).title.startswith("west: 31 troubles")


def whys(**changes):
    found = find_troubles(make_status(**{**WELL, **changes}))
    return [(each.name, each.state, each.tone, each.why) for each in found]


def test_two_that_expelled_each_other_are_told_of_with_what_settles_it():
    ((name, state, tone, why),) = whys(both_out=(("east", "west"),))
    assert (name, state, tone) == ("east, west", "both out", BAD)
    assert "they have expelled each other: the root" in why


def test_a_site_that_was_put_out_says_so():
    why = "site 'west' was expelled by the authority of the VAN on 2026-11-03Z"
    assert whys(router=make_router(excluded=why, is_behind=True)) == [("west", "out", BAD, why)]


def test_a_site_that_has_missed_a_roll_of_the_root_says_so_and_what_to_do():
    ((name, state, tone, why),) = whys(router=make_router(is_behind=True), links=())
    assert (name, state, tone) == ("west", "old root", BAD)
    assert "the root of the VAN was replaced" in why
    assert "accept a new token" in why
    ((_, _, tone, why),) = whys(router=make_router(is_behind=True))
    assert tone == WARN
    assert why.endswith("it asks for another one")
