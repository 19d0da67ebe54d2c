"""The lock of a site says that its router runs, and which process that is."""

import os
import signal

import pytest

from van.errors import HostError, RouterRunning
from van.lock import Holder, SiteLock, find_holder, start_of


def test_who_holds_a_lock_is_found(tmp_path):
    path = tmp_path / "lock"
    assert find_holder(path) is None
    lock = SiteLock.take("west", path)
    assert find_holder(path) == Holder(os.getpid(), start_of(os.getpid()))
    os.close(lock._descriptor)
    assert find_holder(path) is None


def test_a_second_router_is_told_who_holds_the_lock(tmp_path):
    lock = SiteLock.take("west", tmp_path / "lock")
    with pytest.raises(RouterRunning, match=f"'west' is running already .pid {os.getpid()}.: see"):
        SiteLock.take("west", tmp_path / "lock")
    os.close(lock._descriptor)


@pytest.mark.parametrize("content", ["", "soon", "0 0", "-1 0", "1", "999999999 5", "{pid} 5"])
def test_a_lock_that_names_no_process_that_is_there_is_still_held(tmp_path, content):
    lock = SiteLock.take("west", tmp_path / "lock")
    lock.path.write_text(content.format(pid=os.getpid()))
    holder = find_holder(lock.path)
    assert holder == Holder(None)
    with pytest.raises(HostError, match="can't be found"):
        holder.signal(signal.SIGTERM)
    os.close(lock._descriptor)


def test_a_lock_that_was_removed_is_taken_anew(tmp_path):
    lock = SiteLock.take("west", tmp_path / "lock")
    assert not lock.keep()
    lock.path.unlink()
    assert lock.keep()
    assert find_holder(lock.path) == Holder(os.getpid(), start_of(os.getpid()))
    assert not lock.keep()
    os.close(lock._descriptor)


def test_a_lock_that_another_took_when_it_was_removed_is_lost(tmp_path):
    lock = SiteLock.take("west", tmp_path / "lock")
    lock.path.unlink()
    other = SiteLock.take("west", lock.path)
    with pytest.raises(RouterRunning):
        lock.keep()
    os.close(lock._descriptor)
    os.close(other._descriptor)


def test_a_process_with_the_id_of_the_one_that_held_the_lock_gets_no_signal():
    Holder(os.getpid(), start_of(os.getpid()) + 1).signal(signal.SIGKILL)


def test_a_process_that_has_ended_gets_no_signal():
    Holder(2**22 + 1, 5).signal(signal.SIGKILL)
