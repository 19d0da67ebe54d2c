"""A copy takes what follows on what it has, signed by whose trail it is, and nothing else."""

import attrs
import msgspec
import pytest

from van.paths import SitePaths
from van.router.site import trail, trail_copies
from van.router.site.audit import Audit, AuditKind
from van.router.site.trail_copies import TrailCopies, TrailPutOff, TrailRefused
from van.router.site.trust import Trust
from van.tls.credentials import Credentials
from van.tls.keys import generate_key, make_request
from van.wire.channel import MAX_TRAIL_LINE, Trail


@pytest.fixture(scope="module")
def hub():
    return Trust(Credentials.create("hub"))


def member(hub, name):
    ours, key = hub.credentials, generate_key()
    chain = ours.authority.issue_site(make_request(key), site=name, grants=ours.identity.grants)
    return Trust(Credentials.joined(key, chain, ours.root))


class Author:
    """A site with a trail of its own."""

    def __init__(self, directory, trust):
        directory.mkdir(exist_ok=True)
        self.trust = trust
        self.audit = Audit(SitePaths(directory, directory), trust)
        self.directory = directory

    def fill(self, count):
        for _ in range(count):
            self.audit.record(AuditKind.SITE_LET_IN, "laptop", "by a token")

    def offer(self, after, **changes):
        last = self.audit.files.last()
        lines = self.audit.files.after(after)
        offer = Trail((), b"", last.number, bytes.fromhex(last.hash), lines)
        return msgspec.structs.replace(offer, **changes)


@pytest.fixture
def east(hub, tmp_path):
    return Author(tmp_path / "east", member(hub, "east"))


@pytest.fixture
def copies(hub, tmp_path):
    return TrailCopies(tmp_path / "copies", hub)


def give(copies, author, after=0, *, now=0.0, is_upper=False, **changes):
    """Hand out what follows, until there is no more; return the last number that is kept."""
    while True:
        offer = author.offer(after, **changes)
        kept = copies.take(author.trust.identity, offer, is_upper=is_upper, now=now)
        if not offer.lines:
            return kept.number
        after = kept.number


@pytest.mark.slow("three hundred records are put on disk, one by one")
def test_all_is_copied_in_pieces_and_more_later_and_read_again_after_a_restart(copies, east, hub):
    east.fill(300)
    assert give(copies, east) == 300
    east.fill(2)
    again = TrailCopies(copies._directory, hub)
    assert again.take(east.trust.identity, east.offer(302), is_upper=False, now=0.0).number == 300
    assert give(again, east, after=300) == 302
    (found,) = again.read()
    assert (found.site, found.trail.troubles) == ("east", ())
    assert found.trail == east.audit.read()


def test_nothing_is_kept_for_who_has_no_records(copies, east):
    assert give(copies, east) == 0
    assert copies.read() == []
    assert not copies._directory.exists()


def changed(lines, place, **fields):
    record = msgspec.json.decode(lines[place], type=trail.AuditRecord)
    line = msgspec.json.encode(msgspec.structs.replace(record, **fields))
    return (*lines[:place], line, *lines[place + 1 :])


@pytest.mark.parametrize(
    "lie",
    [
        lambda lines: changed(lines, 1, text="by nobody"),
        lambda lines: changed(lines, 2, text="by nobody"),
        lambda lines: changed(lines, 1, site="hub"),
        lambda lines: changed(lines, 2, number=9),
        lambda lines: (lines[0], lines[2]),
        lambda lines: lines[1:],
        lambda lines: (lines[1], lines[0]),
        lambda lines: (b"{}",),
        lambda lines: (lines[0] + b" \n ",),
        lambda lines: (b"x" * MAX_TRAIL_LINE,),
    ],
    ids=[
        "text",
        "last text",
        "site",
        "number",
        "gap",
        "start",
        "order",
        "empty",
        "two lines",
        "large",
    ],
)
def test_a_lie_is_refused_and_nothing_of_its_piece_is_kept(copies, east, lie):
    east.fill(3)
    with pytest.raises(TrailRefused):
        give(copies, east, lines=lie(east.offer(0).lines))
    assert copies.read() == []
    assert give(copies, east) == 3


def test_another_site_hands_out_no_trail_but_its_own(copies, east, hub, tmp_path):
    east.fill(2)
    mallory = attrs.evolve(member(hub, "mallory").identity)
    with pytest.raises(TrailRefused, match="no record of its trail"):
        copies.take(mallory, east.offer(0), is_upper=False, now=0.0)
    # One of the same name has another key, and so a trail of its own.
    other = Author(tmp_path / "other", member(hub, "east"))
    other.fill(1)
    assert give(copies, other) == 1
    assert give(copies, east) == 2
    assert sorted(len(each.trail.records) for each in copies.read()) == [1, 2]


def test_a_trail_that_is_written_anew_or_put_back_is_not_copied_and_the_old_one_stays(
    copies, east, tmp_path
):
    east.fill(2)
    before = {each.name: each.read_bytes() for each in east.directory.glob("audit*")}
    east.fill(2)
    kept = give(copies, east)
    told = copies.read()
    for name, data in before.items():
        (east.directory / name).write_bytes(data)
    back = Author(east.directory, east.trust)
    assert back.audit.read().troubles == ()  # alone, nobody could tell
    with pytest.raises(TrailRefused, match="put back to what it was before, or begun anew"):
        give(copies, back, kept)
    for _ in range(2):
        back.audit.record(AuditKind.SITE_LET_IN, "friend", "instead")
    with pytest.raises(TrailRefused, match="was written anew"):
        give(copies, back, kept)
    back.fill(3)
    with pytest.raises(TrailRefused, match="was written anew"):
        give(copies, back, kept)
    anew = Author(tmp_path / "anew", east.trust)
    anew.fill(1)
    with pytest.raises(TrailRefused, match="begun anew"):
        give(copies, anew)
    assert copies.read() == told


def test_what_is_handed_out_twice_is_no_lie(copies, east):
    east.fill(2)
    offer = east.offer(0)
    copies.take(east.trust.identity, offer, is_upper=False, now=0.0)
    with pytest.raises(TrailPutOff, match="is kept already"):
        copies.take(east.trust.identity, offer, is_upper=False, now=0.0)


def test_what_is_kept_at_its_site_no_more_is_left_out_and_that_is_told(copies, east, monkeypatch):
    monkeypatch.setattr(trail, "MAX_RECORDS", 4)
    monkeypatch.setattr(trail_copies, "MAX_BURST", 100)
    east.fill(2)
    assert give(copies, east) == 2
    east.fill(12)  # 9 to 14 are left
    assert give(copies, east, after=2) == 14
    (found,) = copies.read()
    numbers = [each.number for each in found.trail.records]
    assert numbers == [9, 10, 11, 12, 13, 14]
    again = TrailCopies(copies._directory.parent / "later", copies._trust)
    assert give(again, east) == 14
    assert again.read()[0].trail.troubles == ()
    east.fill(1)
    assert give(again, east, after=14) == 15
    assert again.read()[0].trail.troubles == ()


def test_a_gap_in_a_copy_is_told(copies, east, monkeypatch):
    monkeypatch.setattr(trail, "MAX_RECORDS", 4)
    east.fill(2)
    give(copies, east)
    east.fill(8)  # 5 to 10 are left
    assert give(copies, east, after=2) == 10
    (found,) = copies.read()
    assert [each.number for each in found.trail.records] == [5, 6, 7, 8, 9, 10]


def test_one_trail_is_bounded_in_rate(copies, east, monkeypatch):
    monkeypatch.setattr(trail_copies, "MAX_BURST", 10)
    east.fill(10)
    assert give(copies, east) == 10
    east.fill(1)
    with pytest.raises(TrailPutOff, match="too much of late"):
        give(copies, east, after=10)
    assert give(copies, east, after=10, now=1 / trail_copies.RATE) == 11


def test_trails_are_bounded_in_number_and_who_is_beside_the_root_has_room(
    copies, east, hub, tmp_path, monkeypatch
):
    monkeypatch.setattr(trail_copies, "MAX_COPIES", 1)
    monkeypatch.setattr(trail_copies, "MAX_UPPER_COPIES", 2)
    east.fill(1)
    assert give(copies, east) == 1
    others = [Author(tmp_path / name, member(hub, name)) for name in ("west", "edge")]
    for each in others:
        each.fill(1)
        with pytest.raises(TrailPutOff, match="keeps 1 audit trails already"):
            give(copies, each)
    assert give(copies, others[0], is_upper=True) == 1
    with pytest.raises(TrailPutOff):
        give(copies, others[1], is_upper=True)
    east.fill(1)
    assert give(copies, east, after=1) == 2


@pytest.mark.parametrize("file", ["audit", "audit.head", "key"])
def test_a_copy_that_was_changed_is_told(copies, east, file):
    east.fill(3)
    give(copies, east)
    (path,) = copies._directory.glob(f"*/*/{file}")
    data = path.read_bytes()
    path.write_bytes(data.splitlines(keepends=True)[0] if file == "audit" else b"{}")
    found = TrailCopies(copies._directory, copies._trust).read()[0].trail.troubles
    expected = {
        "audit": ("records 2 to 3 at the end were removed",),
        "audit.head": (),  # the lines vouch for themselves
        "key": (f"file {path} was changed, or removed",),
    }
    assert found == expected[file]
    if file == "audit":
        path.write_bytes(data.replace(b"laptop", b"friend", 1))
        found = TrailCopies(copies._directory, copies._trust).read()[0].trail.troubles
        assert any("record 1 was changed" in each for each in found)
