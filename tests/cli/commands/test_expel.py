"""Before a site is expelled, it is said what comes of it; after it, what has."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from van.cli.commands.site import _consequences
from van.cli.render.layout import plain_text
from van.cli.render.sites import expulsions_section
from van.control.values.expulsions import Expelled, ExpulsionInfo


def said(**changes):
    outcome = Expelled(site="east", key="5" * 64, is_new=True, invited=(), unreachable=())
    return "\n".join(_consequences(replace(outcome, **changes)))


def test_of_one_that_can_do_nothing_about_it_nothing_is_said():
    assert said() == ""


def test_that_both_may_be_out_or_are_is_said_before_anything_is_done():
    text = said(may_answer=True)
    assert "it may expel this site in turn, and both are out then" in text
    assert "until the root, or an authority nearer to it, expels one of them" in text
    text = said(may_answer=True, has_answered=True)
    assert "it has expelled this site: with this, both are out" in text
    assert "may expel" not in text


def test_that_nobody_hears_of_it_is_said_before_anything_is_done():
    assert said(unheard="it is out") == "no other site hears of it now: it is out"


def test_who_comes_back_is_said_before_anything_is_done():
    text = said(readmitted=("west", "south"))
    assert text == (
        "whom it had expelled is a member again; expel them here, if that was right: west, south"
    )


@pytest.mark.parametrize(
    ("state", "reason", "shown"),
    [
        ("in force", "stolen", "  stolen"),
        ("mutual", "stolen", "both are out, each by the other; stolen"),
        ("overruled", "", "counts for those below BY alone, which was expelled"),
    ],
)
def test_what_became_of_an_expulsion_is_listed(state, reason, shown):
    info = ExpulsionInfo(
        site="east", key="5" * 64, at=datetime(2026, 11, 3, tzinfo=UTC), by="west", reason=reason,
        is_forgotten=False, state=state,
    )  # fmt: skip
    assert shown in plain_text([expulsions_section([info])], None)
