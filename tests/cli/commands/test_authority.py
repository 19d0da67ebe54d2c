"""The root is shown, backed up, and not restored over what is there."""

import getpass
import json

import pytest

from van.cli.commands import authority
from van.paths import site_paths
from van.tls import backup
from van.tls.backup import Cost

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    monkeypatch.setattr(backup.seal_back_up, "__kwdefaults__", {"cost": Cost(32, 1, 1)})


@pytest.fixture
def words(tmp_path):
    """A file with the passphrase in its first line."""
    path = tmp_path / "words"
    path.write_text(f"{PASSPHRASE}\nand more\n")
    return str(path)


@pytest.mark.parametrize("text", ["\ufeff{}\n", "{}\r\n", "\ufeff{}\r\nmore\r\n", "{}"])
def test_the_marks_that_editors_make_are_no_part_of_a_passphrase(tmp_path, text):
    path = tmp_path / "marked"
    path.write_bytes(text.format(PASSPHRASE).encode())
    assert authority._passphrase(path, is_new=False) == PASSPHRASE


def test_the_root_is_replaced_once_somebody_has_said_yes(van, running):
    asked = van("authority", "roll")
    assert asked.returncode == 1
    assert "replace the root of the VAN by a new one, for good? [y/N]" in asked.stdout
    assert "the old root is not replaced, as nobody has said yes" in asked.stderr
    assert json.loads(van("authority", "show", "--json").stdout)["roll"] is None
    assert "the root is being replaced" in van("authority", "roll", "--yes").stdout
    again = van("authority", "roll")
    assert (again.returncode, again.stdout) == (1, ""), "there is nothing to ask"
    assert "the root is being replaced already" in again.stderr


def test_who_holds_the_root_is_shown(van, running):
    shown = van("authority", "show").stdout
    assert "west  the root" in shown
    assert "no other site that is known here holds the root: 'van authority back-up FILE'" in shown
    found = json.loads(van("authority", "show", "--json").stdout)
    assert found["held"] == found["known"][0]
    assert found["held"]["kind"] == "root"


def test_a_back_up_is_for_the_owner_and_replaced_by_force_only(van, site, words, tmp_path):
    file = tmp_path / "root.backup"
    done = van("authority", "back-up", str(file), "--passphrase-file", words)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_text()
    key = site_paths("west").identity_file.read_text().split("KEY-----")[3].split()[0]
    assert key not in before
    again = van("authority", "back-up", str(file), "--passphrase-file", words)
    assert (again.returncode, file.read_text()) == (1, before)
    assert "exists: choose another, or use --force" in again.stderr
    done = van("authority", "back-up", str(file), "--passphrase-file", words, "--force")
    assert (done.returncode, file.read_text() == before) == (0, False)


def test_a_passphrase_that_is_too_short_makes_no_back_up(van, site, tmp_path):
    (tmp_path / "words").write_text("secret\n")
    file = tmp_path / "root.backup"
    done = van("authority", "back-up", str(file), "--passphrase-file", str(tmp_path / "words"))
    assert done.returncode == 2
    assert "a passphrase of 6 characters is not valid: use 10 to 1024" in done.stderr
    assert not file.exists()


def test_without_a_terminal_nobody_is_asked(van, site, tmp_path):
    done = van("authority", "back-up", str(tmp_path / "root.backup"))
    assert done.returncode == 1
    assert "no terminal to ask for the passphrase: use --passphrase-file" in done.stderr


def test_a_passphrase_is_typed_twice_and_shown_never(van, site, tmp_path, monkeypatch):
    typed = iter([PASSPHRASE, "another one", PASSPHRASE, PASSPHRASE])
    monkeypatch.setattr(authority, "has_terminal", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda _: next(typed))
    file = tmp_path / "root.backup"
    done = van("authority", "back-up", str(file))
    assert (done.returncode, file.exists()) == (1, False)
    assert "the two passphrases differ: nothing is written" in done.stderr
    done = van("authority", "back-up", str(file))
    assert done.returncode == 0
    assert PASSPHRASE not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no back-up file"),
        ("van", "can't be read: it is cut off, or not a back-up"),
        ("holds", "holds the root of VAN"),
        ("damaged", "back-up is damaged"),
        ("wrong", "passphrase is not the one that the back-up was made with"),
    ],
)
def test_what_can_not_be_restored_changes_nothing(van, running, words, tmp_path, text, said):
    file = tmp_path / "root.backup"
    assert van("authority", "back-up", str(file), "--passphrase-file", words).returncode == 0
    good = file.read_text()
    if text is None:
        file.unlink()
    elif text == "van":
        file.write_text("van")
    elif text == "damaged":
        file.write_text(good.replace("memory = 32", "memory = 33"))
    elif text == "wrong":
        (tmp_path / "words").write_text("wrong horse battery")
    before = site_paths("west").identity_file.read_bytes()
    done = van("authority", "restore", str(file), "--passphrase-file", words)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert site_paths("west").identity_file.read_bytes() == before
