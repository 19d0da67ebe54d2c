import errno
import os
import stat

import pytest

from van.errors import StorageError
from van.files import make_private_directory, read_bytes, remove, sync_directory, write_atomic


def failing(call, *, after=0):
    """Return a system call that fails with a full disk, from the call after so many on."""
    original, calls = getattr(os, call), []

    def run(*args, **kwargs):
        calls.append(args)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(*args, **kwargs)

    return run


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "file"
    for data in (b"one", b"", b"\0" * 5000):
        write_atomic(path, data)
        assert read_bytes(path, limit=5000) == data
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_new_file_has_its_mode_at_once(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o666)
    write_atomic(path, b"new", mode=mode)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_content(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(call))
        with pytest.raises(StorageError, match=f"can't write {path}: no space left on device"):
            write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_data_is_on_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    steps = []

    def noting(call):
        original = getattr(os, call)

        def run(*args):
            steps.append(call)
            return original(*args)

        return run

    for call in ("fsync", "replace"):
        monkeypatch.setattr(os, call, noting(call))
    write_atomic(tmp_path / "file", b"data")
    assert steps == ["fsync", "replace", "fsync"]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_reads_as_none(tmp_path):
    assert read_bytes(tmp_path / "none", limit=1) is None


def test_a_file_over_the_limit_is_refused(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"12345")
    assert read_bytes(path, limit=5) == b"12345"
    with pytest.raises(StorageError, match=f"{path} is larger than 4 bytes"):
        read_bytes(path, limit=4)


def test_what_can_t_be_read_is_named(tmp_path):
    with pytest.raises(StorageError, match=f"can't read {tmp_path}: is a directory"):
        read_bytes(tmp_path, limit=1)


def test_removing_is_for_good_and_can_be_repeated(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"x")
    remove(path)
    remove(path)
    assert not path.exists()


def test_what_can_t_be_removed_is_named(tmp_path):
    with pytest.raises(StorageError, match=f"can't remove {tmp_path}: "):
        remove(tmp_path)


def test_a_private_directory_is_for_its_owner_only(tmp_path):
    path = tmp_path / "a" / "b"
    make_private_directory(path)
    path.chmod(0o755)
    make_private_directory(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    sync_directory(path)


def test_a_directory_that_can_t_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"can't create .*/file/below: not a directory"):
        make_private_directory(tmp_path / "file" / "below")
