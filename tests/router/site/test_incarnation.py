"""Each start of a site is newer than the ones before, whatever became of those."""

from datetime import UTC, datetime, timedelta

import pytest

from van.errors import StorageError
from van.router.site.incarnation import advance_incarnation, keep_incarnation, latest_incarnation


def test_each_start_has_a_higher_incarnation(tmp_path):
    path = tmp_path / "incarnation"
    assert [advance_incarnation(path, latest=1000) for _ in range(3)] == [1, 2, 3]


def test_the_next_start_is_newer_than_what_the_network_remembers(tmp_path):
    path = tmp_path / "incarnation"
    advance_incarnation(path, latest=1000)
    keep_incarnation(path, 41)
    assert advance_incarnation(path, latest=1000) == 42


@pytest.mark.parametrize("content", [b"", b"x", b"\xff", b"1" * 65])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "incarnation"
    path.write_bytes(content or b" ")
    with pytest.raises(StorageError, match=str(path)):
        advance_incarnation(path, latest=1000)
    assert path.read_bytes() == (content or b" "), "what is there is left for a person to see"


def test_a_start_that_can_not_be_counted_is_none(tmp_path):
    with pytest.raises(StorageError, match="can't write"):
        advance_incarnation(tmp_path / "missing" / "incarnation", latest=1000)


def test_no_start_has_a_higher_incarnation_than_others_believe(tmp_path):
    """Though it was driven there, or the file says so."""
    path = tmp_path / "incarnation"
    for driven_to in (999, 1000, 2**63 - 1):
        keep_incarnation(path, driven_to)
        assert advance_incarnation(path, latest=1000) == 1000
        assert path.read_text() == "1000\n"


def test_the_latest_incarnation_grows_by_one_in_each_second():
    now = datetime(2031, 5, 4, tzinfo=UTC)
    latest = latest_incarnation(now)
    assert latest > now.timestamp()
    assert latest_incarnation(now + timedelta(seconds=7)) == latest + 7
    assert latest_incarnation(datetime.fromtimestamp(0, UTC)) > 0
