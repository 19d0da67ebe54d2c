"""Which key has which name is on disk, of one VAN."""

import msgspec
import pytest

from tests.tls.test_expulsion import NOW, let_in
from van.errors import StorageError
from van.router.site.pin_file import PinFile
from van.tls.authority import Authority
from van.tls.expulsion_list import ExpulsionList
from van.tls.pins import Pins


@pytest.fixture(scope="module")
def pins():
    root = Authority.create_root(now=NOW)
    hub = let_in(root, "hub")
    pins = Pins(ExpulsionList(root.root))
    for member in (hub, let_in(hub.authority, "below")):
        pins.saw(member.identity, at=NOW)
    return pins


def test_what_was_kept_is_read_again(tmp_path, pins):
    file = PinFile(tmp_path / "names")
    assert file.load("van") == []
    file.save("van", pins)
    assert file.load("van") == list(pins)
    assert file.load("other") == []
    assert (tmp_path / "names").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff",
        b"\x91\xa3van",
        msgspec.msgpack.encode(["van", [["x", b"short", [], 0, 0]]]),
        msgspec.msgpack.encode(["van", [["X!", bytes(32), [], 0, 0]]]),
        msgspec.msgpack.encode(["van", [["x", bytes(32), [], -1, 0]]]),
    ],
)
def test_a_damaged_file_is_named_and_kept(tmp_path, damage):
    path = tmp_path / "names"
    path.write_bytes(damage)
    with pytest.raises(StorageError, match="damaged") as caught:
        PinFile(path).load("van")
    assert str(path) in str(caught.value)
    assert path.read_bytes() == damage
