"""Each start of a site is newer than the ones before, whatever became of those."""

import pytest

from van.errors import StorageError
from van.router.site.incarnation import advance_incarnation, keep_incarnation


def test_each_start_has_a_higher_incarnation(tmp_path):
    path = tmp_path / "incarnation"
    assert [advance_incarnation(path) for _ in range(3)] == [1, 2, 3]


def test_the_next_start_is_newer_than_what_the_network_remembers(tmp_path):
    path = tmp_path / "incarnation"
    advance_incarnation(path)
    keep_incarnation(path, 41)
    assert advance_incarnation(path) == 42


@pytest.mark.parametrize("content", [b"", b"x", b"\xff", b"1" * 65])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "incarnation"
    path.write_bytes(content or b" ")
    with pytest.raises(StorageError, match=str(path)):
        advance_incarnation(path)
    assert path.read_bytes() == (content or b" "), "what is there is left for a person to see"


def test_a_start_that_can_not_be_counted_is_none(tmp_path):
    with pytest.raises(StorageError, match="can't write"):
        advance_incarnation(tmp_path / "missing" / "incarnation")
