"""How many sessions there is room for follows from memory and descriptors."""

import pytest

from van.router.reactor import capacity
from van.router.reactor.limits import Limits


@pytest.mark.parametrize(
    ("memory", "descriptors", "expected"),
    [
        (1 << 26, 1 << 20, capacity.MIN_SESSIONS),
        (1 << 30, 1 << 20, (1 << 30) // capacity.PART // capacity.SESSION_SIZE),
        (1 << 40, 1 << 20, capacity.MAX_SESSIONS),
        (1 << 40, 20_000, 10_000),
        (1 << 40, 256, capacity.MIN_SESSIONS),
    ],
)
def test_sessions_follow_memory_and_descriptors(monkeypatch, memory, descriptors, expected):
    monkeypatch.setattr(capacity, "memory", lambda: memory)
    monkeypatch.setattr(capacity, "descriptors", lambda: descriptors)
    assert capacity.max_sessions() == expected
    limits = Limits()
    assert limits.max_sessions == expected
    assert limits.max_port_sessions == expected * 3 // 4


def test_the_smallest_limit_of_the_control_groups_around_counts(tmp_path):
    own = tmp_path / "own"
    inner = tmp_path / "fs" / "outer" / "inner"
    inner.mkdir(parents=True)
    own.write_text("1:name=systemd:/elsewhere\n0::/outer/inner\n")
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("1000\n")
    assert capacity._group_limits(tmp_path / "fs", own) == [1000]
    assert capacity._group_limits(tmp_path / "fs", tmp_path / "none") == []


def test_this_machine_has_some_of_both():
    assert capacity.memory() > 1 << 20
    assert capacity.descriptors() > 0
