"""Following events, from a router that a test plays."""

import json

import pytest

from van.cli.commands import events as module
from van.cli.commands.events import Notice, stream
from van.control.values.events import Event, Events
from van.errors import HostError, RouterDown


def make_event(number, **changes):
    values = {
        "number": number,
        "at": "2026-03-01T12:00:00.000Z",
        "kind": "link-up",
        "subject": "hub",
        "text": f"the {number}.",
    }
    return Event(**{**values, **changes})


def reply(*numbers, router="one", lost=0):
    return Events(router=router, lost=lost, events=tuple(map(make_event, numbers)))


class Played:
    """Answers in the order that a test says, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = iter(answers)
        self.asked = []

    def events(self, after):
        self.asked.append(after)
        answer = next(self.answers, KeyboardInterrupt())
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(module, "RETRY", 0)


def followed(*answers, last=10):
    """Return what is yielded until the answers are over, and what was asked."""
    client = Played(*answers)
    found: list[int | str] = []
    followed = stream(client, last=last, follow=True)
    with pytest.raises(KeyboardInterrupt):
        found.extend(each.text if isinstance(each, Notice) else each.number for each in followed)
    return found, client.asked


@pytest.mark.parametrize(("last", "shown"), [(0, []), (2, [2, 3]), (3, [1, 2, 3]), (9, [1, 2, 3])])
def test_the_last_events_are_shown(last, shown):
    found = list(stream(Played(reply(1, 2, 3)), last=last, follow=False))
    assert [each.number for each in found] == shown


def test_each_event_is_shown_once_as_it_comes():
    found, asked = followed(reply(1), reply(2, 3), reply(), reply(4))
    assert found == [1, 2, 3, 4]
    assert asked == [0, 1, 3, 3, 4]


def test_a_router_that_is_started_anew_is_followed_from_its_first_event():
    gone = (HostError("it went away"), RouterDown("start it"), RouterDown("start it"))
    found, asked = followed(reply(8), *gone, reply(router="two"), reply(1, 2, router="two"))
    assert found == [
        8,
        "the router does not answer: waiting for it",
        "the router was started anew",
        1,
        2,
    ]
    assert asked == [0, 8, 8, 8, 8, 0, 2]


def test_the_first_events_of_a_router_that_was_quickly_back_are_not_passed_over():
    there = (reply(2, 3, router="two"), reply(1, 2, 3, router="two"))
    found, asked = followed(reply(1), *there)
    assert found == [1, "the router was started anew", 1, 2, 3]
    assert asked == [0, 1, 0, 3]


def test_each_absence_of_the_router_is_told():
    away = RouterDown("start it")
    found, _ = followed(reply(1), away, reply(2), away)
    assert [each for each in found if isinstance(each, str)] == [
        "the router does not answer: waiting for it"
    ] * 2


def test_events_that_went_by_too_fast_are_counted():
    found, _ = followed(reply(1), reply(7, lost=5))
    assert found == [1, "5 events went by too fast to be kept", 7]


def test_a_router_that_does_not_run_at_first_is_an_error():
    with pytest.raises(RouterDown):
        next(stream(Played(RouterDown("start it")), last=10, follow=True))


@pytest.fixture
def played(site, monkeypatch):
    """Lets `van events` ask a played router."""

    def play(*answers):
        monkeypatch.setattr(module, "open_client", lambda _: Played(*answers))

    return play


def test_an_event_is_one_line_without_colour_in_a_pipe(played, van):
    played(reply(1))
    done = van("events", "--no-follow")
    assert done.returncode == 0
    assert done.stdout == "2026-03-01T12:00:00.000Z  link-up                hub: the 1.\n"


def test_what_another_site_sent_can_not_move_the_cursor(played, van):
    played(Events(router="one", lost=0, events=(make_event(1, text="x\x1b[2J\ny"),)))
    assert van("events", "--no-follow").stdout.endswith(
        "x\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}y\n"
    )


def test_every_line_for_programs_is_an_event(played, van):
    played(reply(1, 2))
    lines = van("events", "--no-follow", "--json").stdout.splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2]


def test_ctrl_c_ends_it_without_a_word(played, van):
    played(reply(1), RouterDown("start it"))
    done = van("events")
    assert done.returncode == 130
    assert done.stderr == "the router does not answer: waiting for it\n"


def test_kinds_are_coloured_on_a_terminal(monkeypatch):
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = [module._line(make_event(1, kind=kind)) for kind in ("link-up", "link-down", "new")]
    codes = [line.split("\x1b[")[1].partition("m")[0] for line in lines]
    assert codes == ["32", "31", "33"]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in module._line(make_event(1))
