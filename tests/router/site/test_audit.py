"""What is recorded is signed, and rests on what was before: a changed or removed line is told."""

from datetime import timedelta

import pytest

from van.errors import LocalError, StorageError
from van.paths import SitePaths
from van.router.site import trail as module
from van.router.site.audit import MAX_REFUSALS, Audit, AuditKind
from van.router.site.trust import Trust, utc_now
from van.tls.credentials import Credentials


@pytest.fixture(scope="module")
def trust():
    return Trust(Credentials.create("hub"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit"


def place(path):
    return SitePaths(path.parent, path.parent)


@pytest.fixture
def trail(path, trust):
    return Audit(place(path), trust)


def fill(trail, count):
    for number in range(1, count + 1):
        trail.record(AuditKind.SITE_LET_IN, f"site-{number}", f"by token {number}")


def numbers(trail):
    return [each.number for each in trail.read().records]


def test_what_is_recorded_is_read_again_also_after_a_restart(path, trust, trail):
    assert trail.read().records == ()
    fill(trail, 2)
    again = Audit(place(path), trust)
    again.record(AuditKind.SITE_EXPELLED, "site-1", "stolen")
    found = again.read()
    assert found.troubles == ()
    assert [(each.number, each.site, each.kind, each.subject) for each in found.records] == [
        (1, "hub", "site-let-in", "site-1"),
        (2, "hub", "site-let-in", "site-2"),
        (3, "hub", "site-expelled", "site-1"),
    ]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("is_running", [True, False])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda lines: [lines[0].replace(b"site-1", b"site-9"), *lines[1:]],
            "record 1 was changed",
        ),
        (lambda lines: [lines[0], *lines[2:]], "before record 3 was changed, or removed"),
        (lambda lines: lines[:-1], "records 3 to 3 at the end were removed"),
        (lambda lines: lines[:1], "records 2 to 3 at the end were removed"),
        (lambda lines: [lines[1], lines[0], lines[2]], "before record 1 was changed, or removed"),
        (lambda lines: [b"{}", *lines[1:]], "the line after record 0 is no record"),
        (lambda lines: [*lines, lines[-1]], "before record 3 was changed, or removed"),
        (lambda lines: lines[2:], "records 1 to 2 at the beginning were removed"),
    ],
    ids=["changed", "removed", "last", "last two", "swapped", "no record", "twice", "oldest"],
)
def test_what_was_changed_or_removed_is_told(path, trust, trail, change, said, is_running):
    fill(trail, 3)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"".join(each + b"\n" for each in change(lines)))
    found = (trail if is_running else Audit(place(path), trust)).read()
    assert any(said in each for each in found.troubles)
    # And it is told ever after.
    later = Audit(place(path), trust)
    later.record(AuditKind.SITE_LET_IN, "later", "")
    assert Audit(place(path), trust).read().troubles


def test_who_has_another_key_makes_no_record(path, trust, trail):
    fill(trail, 2)
    Audit(place(path), Trust(Credentials.create("hub"))).record(AuditKind.SITE_LET_IN, "friend", "")
    assert any("record 3 was changed" in each for each in Audit(place(path), trust).read().troubles)


def test_the_end_is_known_though_its_file_is_gone(path, trust, trail):
    fill(trail, 3)
    path.with_name("audit.head").unlink()
    assert Audit(place(path), trust).read().troubles == (
        "what says which record is the last was removed, or is an older one",
    )
    path.unlink()
    assert trail.read().troubles == ("records 1 to 3 at the end were removed",)


@pytest.mark.parametrize("lost", ["line", "head"])
def test_a_crash_in_the_middle_of_a_record_leaves_no_trouble(path, trust, trail, lost):
    fill(trail, 2)
    head = path.with_name("audit.head").read_bytes()
    if lost == "line":  # cut off, and never answered for
        path.write_bytes(path.read_bytes() + b'{"number":3,"at"')
    else:  # the line is there, and what says that it is the last is not
        fill(trail, 1)
        path.with_name("audit.head").write_bytes(head)
    again = Audit(place(path), trust)
    assert again.read().troubles == ()
    again.record(AuditKind.SITE_EXPELLED, "site-1", "")
    assert again.read().troubles == ()
    assert numbers(again) == list(range(1, 4 if lost == "line" else 5))


def test_the_trail_is_bounded_and_the_newest_is_kept(monkeypatch, path, trust, trail):
    monkeypatch.setattr(module, "MAX_RECORDS", 3)
    fill(trail, 8)
    assert numbers(trail) == [4, 5, 6, 7, 8]
    assert trail.read().troubles == ()
    again = Audit(place(path), trust)
    fill(again, 2)
    assert numbers(again) == [7, 8, 9, 10]
    assert again.read().troubles == ()
    path.with_name("audit.1").unlink()
    assert again.read().troubles == ("records 7 to 9 at the beginning were removed",)


def test_what_can_not_be_recorded_is_not_done_and_what_fails_is_told(monkeypatch, trail, path):
    done = []
    with pytest.raises(LocalError), trail.telling(AuditKind.SITE_EXPELLED, "west", "stolen"):
        raise LocalError("no more can be kept")
    assert [each.kind for each in trail.read().records] == ["site-expelled", "failed"]
    monkeypatch.setattr(module, "append_at", _full)
    with pytest.raises(StorageError), trail.telling(AuditKind.SITE_EXPELLED, "east", ""):
        done.append("east")
    assert not done
    monkeypatch.undo()
    trail.record(AuditKind.SITE_LET_IN, "later", "")
    assert (numbers(trail), trail.read().troubles) == ([1, 2, 3], ())


def _full(*_args):
    raise StorageError("no space left on device")


def test_refusals_fill_no_trail(path):
    now = [utc_now()]
    trust = Trust(Credentials.create("hub"), clock=lambda: now[0])
    trail = Audit(place(path), trust)
    for _ in range(MAX_REFUSALS + 9):
        trail.refused("mallory", "the token is used up")
    assert len(trail.read().records) == MAX_REFUSALS
    now[0] += timedelta(hours=1, seconds=1)
    trail.refused("mallory", "the token is used up")
    assert len(trail.read().records) == MAX_REFUSALS + 1
