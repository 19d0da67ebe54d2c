"""Each test has the kind of its place, and is held to it."""

import socket
import subprocess
import sys

import pytest

from tests.kinds import KINDS, LOADING, PLACES, ROOT, is_unexplained, kind_of, may_have, scope_of


def test_every_place_is_there_and_has_a_kind():
    assert [place for place in (*PLACES, *LOADING) if not (ROOT / place).exists()] == []
    assert set(PLACES.values()) == set(KINDS)


@pytest.mark.parametrize(
    ("nodeid", "kind"),
    [
        ("tests/test_names.py::test_one", "unit"),
        ("tests/router/test_flows.py::test_one[a/b]", "network"),
        ("tests/hostile/test_fuzz.py::test_one", "unit"),
        ("tests/hostile/test_joins.py::test_one", "network"),
    ],
)
def test_the_nearest_place_counts(nodeid, kind):
    assert kind_of(nodeid) == kind


def test_what_shares_a_fixture_or_loads_the_machine_stays_together():
    alone = "tests/test_names.py::test_one"
    assert scope_of(alone) == alone
    sharing = "tests/end_to_end/test_tokens.py"
    assert scope_of(f"{sharing}::test_one") == scope_of(f"{sharing}::test_two") == sharing
    assert len({scope_of(f"{file}::test_one") for file in LOADING}) == 1


@pytest.mark.parametrize(
    ("file", "kinds"),
    [
        ("tests/test_names.py", {"unit"}),
        ("tests/router/links/test_links.py", {"network"}),
        ("tests/hostile/test_bad_channels.py", {"network", "scale"}),
    ],
)
def test_a_file_is_loaded_for_the_kinds_that_it_has(file, kinds):
    assert {kind for kind in KINDS if may_have(ROOT / file, kind)} == kinds


@pytest.mark.parametrize(
    ("seconds", "marks", "is_listed"),
    [
        (0.9, {"unit"}, False),
        (1.1, {"unit"}, True),
        (1.1, {"network"}, True),
        (1.1, {"unit", "hypothesis"}, False),
        (3.1, {"unit", "hypothesis"}, True),
        (1.1, {"process"}, False),
        (11.0, {"scale"}, True),
        (11.0, {"scale", "slow"}, False),
    ],
)
def test_a_second_is_long_where_the_kind_does_not_say_why(seconds, marks, is_listed):
    assert is_unexplained(seconds, marks) == is_listed


@pytest.mark.parametrize("kind", ["unit", pytest.param("network", marks=pytest.mark.network)])
def test_only_a_test_of_processes_starts_one(kind):
    with pytest.raises(AssertionError, match=f"a {kind} test starts"):
        subprocess.run([sys.executable, "-c", ""], check=False)


def test_a_unit_test_does_not_reach_for_the_network(tmp_path):
    with socket.socket() as sock:
        with pytest.raises(AssertionError, match="reaches for the network"):
            sock.bind(("127.0.0.1", 0))
        with pytest.raises(AssertionError, match="reaches for the network"):
            sock.connect(("127.0.0.1", 9))
    with pytest.raises(AssertionError, match="reaches for the network"):
        socket.getaddrinfo("localhost", 9)
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect(str(tmp_path / "none"))
