"""A command changes the lines of what it changes: all else that a person wrote stays as it is."""

import codecs
import re
from itertools import permutations, product, starmap
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.generators import tuples_of
from van.config import ConnectorConfig, LinkConfig, ListenerConfig, SiteConfig
from van.config.file import change_config, decode_config, encode_config, load_config, update_config
from van.config.keys import LISTS, ROUTER, Section
from van.errors import ConfigError
from van.names import Address, Endpoint
from van.wire.lsa import Distribution

PATH = Path("config.toml")
ENDPOINTS = [Endpoint("h", port) for port in (1, 2, 3)]
SOME_ENDPOINTS = tuples_of(ENDPOINTS, 2)
ADDRESSES = [Address("db", port) for port in (1, 2, 3)]
LINKS = list(starmap(LinkConfig, product("abc", SOME_ENDPOINTS, (1, 2, 3), (1.05, 2.0))))
CONNECTORS = list(
    starmap(ConnectorConfig, product(["tcp", "udp"], ADDRESSES, ENDPOINTS, Distribution, (1, 2)))
)
LISTENERS = list(starmap(ListenerConfig, product(["tcp"], ADDRESSES, ENDPOINTS)))


def several(values, section):
    each = st.sampled_from(values)
    return st.lists(each, max_size=3, unique_by=section.identity).map(tuple)


CONFIGS = st.builds(
    SiteConfig,
    listen=st.sampled_from([None, *ENDPOINTS]),
    advertise=st.sampled_from(SOME_ENDPOINTS),
    transit=st.booleans(),
    drained=st.booleans(),
    links=several(LINKS, LISTS[0]),
    connectors=several(CONNECTORS, LISTS[1]),
    listeners=several(LISTENERS, LISTS[2]),
)


def spell(draw, value):
    """Return a value as TOML, in one of its spellings."""
    if isinstance(value, list):
        items = [spell(draw, each) for each in value]
        if draw(st.booleans()):
            return "[" + ", ".join(items) + "]"
        return "[\n" + "".join(f"\t{each},  # item\n" for each in items) + "]"
    if isinstance(value, str):
        return draw(st.sampled_from(['"{}"', "'{}'", '"""{}"""', "'''{}'''"])).format(value)
    return str(value).lower()


NOTES = ["", "", "\n", "# note\n", '  # [router] = "\n\n', "#\n# '''\n"]
HEADERS = list(product(["", " ", "\t"], ["{}", " {} ", '"{}"', "\t'{}'"], ["\n", " # header\n"]))
KEYS = ["{} = {}", '"{}" = {}', "\t{}\t = {}"]
LINES = list(map("".join, product(NOTES, KEYS, ["\n", "  # of the key\n", "\t\n"])))
ORDERS = [list(permutations(range(size))) for size in range(6)]


def write_block(draw, header, values):
    """Return a block as a person may write it, from the line of its header to its last key."""
    name = header.strip("[]")
    brackets = len(header) - len(header.lstrip("["))
    indent, spelled, end = draw(st.sampled_from(HEADERS))
    text = f"{indent}{'[' * brackets}{spelled.format(name)}{']' * brackets}{end}"
    keys = list(values)
    for index in draw(st.sampled_from(ORDERS[len(keys)])):
        line, value = draw(st.sampled_from(LINES)), spell(draw, values[keys[index]])
        text += line.format(keys[index], value)
    return text


@st.composite
def files(draw):
    """A configuration, and the pieces of a file that say it: (section, identity, text)."""
    config = draw(CONFIGS)
    wanted = [(ROUTER, "", ROUTER.encode(config))] if ROUTER.encode(config) else []
    for section in LISTS:
        wanted += [
            (section, section.identity(each), section.encode(each))
            for each in getattr(config, section.field)
        ]
    pieces: list[tuple[Section[Any] | None, str, str]] = [(None, "", draw(st.sampled_from(NOTES)))]
    for section, identity, values in draw(st.permutations(wanted)):
        pieces.append((section, identity, write_block(draw, section.header, values)))
        pieces.append((None, "", draw(st.sampled_from(NOTES))))
    if draw(st.booleans()):  # the last line may have no end
        last = pieces.pop()
        pieces.append((*last[:2], last[2].removesuffix("\n")))
    newline, mark = draw(st.sampled_from(list(product(["\n", "\r\n"], ["", "\ufeff"]))))
    return mark, [(section, each, text.replace("\n", newline)) for section, each, text in pieces]


def own_lines(text):
    return [line for line in text.splitlines() if line.strip()]


def comments(text):
    """Return the comments, by a reading of their own: these files have no # in a text."""
    return sorted(re.findall(r"#.*?(?=\r?$)", text, re.MULTILINE))


@pytest.mark.slow("a hundred files, each written, changed, and read again")
@given(file=files(), wanted=CONFIGS)
def test_a_change_leaves_every_other_line_and_every_comment(file, wanted):
    mark, pieces = file
    before = (mark + "".join(text for *_, text in pieces)).encode()
    there = decode_config(PATH, before)
    data = change_config(PATH, before, there, wanted)

    found = decode_config(PATH, data)
    for section in LISTS:  # the order is that of the file
        name = section.identity
        assert sorted(getattr(found, section.field), key=name) == sorted(
            getattr(wanted, section.field), key=name
        )
    assert ROUTER.encode(found) == ROUTER.encode(wanted)

    assert data.startswith(codecs.BOM_UTF8) == bool(mark)
    text = data.decode("utf-8-sig")
    lines = iter(own_lines(text))
    kept = ""
    for section, identity, piece in pieces:
        is_same = section is None or stays(section, identity, there, wanted)
        for line in own_lines(piece) if is_same else ():
            assert line in lines  # in the same order, each once: the iterator goes on
        if is_same or is_there(section, identity, wanted):
            kept += piece + "\n"
    missing = comments(kept)
    for each in comments(text):
        if each in missing:
            missing.remove(each)
    assert not missing
    whole = "".join(piece for *_, piece in pieces)
    if whole.count("\n") > 0:
        assert (b"\r\n" in data) == ("\r\n" in whole)
        assert data.count(b"\n") in {data.count(b"\r\n"), data.count(b"\n") - data.count(b"\r\n")}


def find(section, identity, config):
    if section is ROUTER:
        return ROUTER.encode(config)
    values = getattr(config, section.field)
    return next((each for each in values if section.identity(each) == identity), None)


def stays(section, identity, there, wanted):
    return find(section, identity, there) == find(section, identity, wanted)


def is_there(section, identity, wanted):
    return section is ROUTER or find(section, identity, wanted) is not None


@pytest.mark.slow("a hundred files, changed and changed back")
@given(old=CONFIGS, new=CONFIGS)
def test_there_and_back_again_leaves_the_lines_as_they_were(old, new):
    before = encode_config(old)
    changed = change_config(PATH, before, old, new)
    after = change_config(PATH, changed, decode_config(PATH, changed), old)
    expected = flat_lines(before)
    if "[router]" not in expected and b"\n[router]" in changed:
        expected.append("[router]")  # the header stays, for what a person may have written beside
    assert sorted(flat_lines(after)) == sorted(expected)


def flat_lines(data):
    """Return the lines, with each list on one: a list that came back is written so."""
    flat = re.sub(r"(?<== )\[[^]]*\]", lambda each: " ".join(each[0].split()), data.decode())
    return own_lines(flat.replace("[ ", "[").replace(", ]", "]"))


@pytest.mark.slow("a hundred files, each written, changed, and read again")
@given(config=CONFIGS, wanted=CONFIGS)
@example(config=SiteConfig(), wanted=SiteConfig(links=(LinkConfig("a"),)))
@example(
    config=SiteConfig(links=(LinkConfig("a"), LinkConfig("b"))),
    wanted=SiteConfig(links=(LinkConfig("b"), LinkConfig("a"))),
)
def test_lists_in_brackets_and_dotted_keys_become_blocks_when_they_change(config, wanted):
    lines = ["# mine"]
    for key, value in ROUTER.encode(config).items():
        lines.append(f"router.{key} = {_inline(value)}  # of {key}")
    for section in LISTS:
        values = [section.encode(each) for each in getattr(config, section.field)]
        lines += [f"{section.name} = [  # all", *(f"  {_inline(each)}," for each in values), "]"]
    before = "\n".join(lines)
    assert decode_config(PATH, before.encode()) == config
    after = change_config(PATH, before.encode(), config, wanted).decode()
    found = decode_config(PATH, after.encode())
    assert {section.field: set(getattr(found, section.field)) for section in LISTS} == {
        section.field: set(getattr(wanted, section.field)) for section in LISTS
    }
    assert ROUTER.encode(found) == ROUTER.encode(wanted)
    assert set(comments(before)) <= set(comments(after))
    for section in LISTS:
        if set(getattr(config, section.field)) != set(getattr(wanted, section.field)):
            after += f"\n{section.header}\n{NEW[section.name]}"  # as one may, by its head
    decode_config(PATH, after.encode())


NEW = {
    "link": 'site = "new"\n',
    "connector": 'address = "new:9"\ntarget = "9"\n',
    "listener": 'address = "new:9"\nlisten = "9"\n',
}


def _inline(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


DB = ConnectorConfig("tcp", Address("db", 5432), Endpoint("localhost", 5432))
WEB = ConnectorConfig("tcp", Address("web", 80), Endpoint("localhost", 80))
MINE = """\
# My site.
[router]
listen = "0.0.0.0:7671"   # the forwarded port
drained = true  # until the disk is swapped

# The database: ask Ana before touching it.
[[connector]]
address = 'db:5432'
# moved in May
target = "5432"

# The web.
[[connector]]
address = "web:80"
target  = "80"
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(MINE)
    return path


def test_what_is_removed_takes_its_own_lines_only(path):
    there = load_config(path)
    update_config(path, there, attrs.evolve(there, connectors=(WEB,)))
    assert path.read_text() == MINE.replace("[[connector]]\naddress = 'db:5432'\n", "").replace(
        '# moved in May\ntarget = "5432"\n', "# moved in May\n"
    )


def test_what_is_removed_at_the_end_leaves_no_empty_lines(path):
    there = load_config(path)
    update_config(path, there, attrs.evolve(there, connectors=(*there.connectors, HTTP)))
    assert path.read_text().startswith(MINE + "\n[[connector]]\n")
    update_config(path, load_config(path), there)
    assert path.read_text() == MINE


HTTP = ConnectorConfig("tcp", Address("web", 443), Endpoint("localhost", 443))


def test_a_key_that_goes_leaves_its_comment(path):
    there = load_config(path)
    update_config(path, there, attrs.evolve(there, drained=False))
    assert path.read_text() == MINE.replace(
        "[router]\n", "# until the disk is swapped\n[router]\n"
    ).replace("drained = true  # until the disk is swapped\n", "")


def test_what_a_person_changed_meanwhile_stays(path):
    there = load_config(path)
    edited = MINE.replace("7671", "7672").replace("web:80", "web:81")
    path.write_text(edited)
    update_config(path, there, attrs.evolve(there, connectors=(*there.connectors, HTTP)))
    assert path.read_text().startswith(edited)
    assert load_config(path).connectors[2] == HTTP


def test_what_a_person_added_meanwhile_is_not_added_twice(path):
    there = load_config(path)
    path.write_text(MINE + '[[connector]]\naddress = "web:443"\ntarget = "443"\n')
    before = path.read_bytes()
    update_config(path, there, attrs.evolve(there, connectors=(*there.connectors, HTTP)))
    assert path.read_bytes() == before


def test_what_a_person_removed_meanwhile_stays_removed(path):
    there = load_config(path)
    path.write_text("# nothing any more\n")
    update_config(path, there, attrs.evolve(there, connectors=(WEB,)))
    assert path.read_text() == "# nothing any more\n"


def test_a_mistake_made_meanwhile_is_told_and_nothing_is_written(path):
    there = load_config(path)
    path.write_text(MINE + "[[connectr]]\n")
    with pytest.raises(ConfigError, match=r"config.toml:16: key 'connectr' is not known"):
        update_config(path, there, attrs.evolve(there, drained=False))
    assert path.read_text() == MINE + "[[connectr]]\n"


def test_a_file_that_is_gone_is_written_whole(path):
    there = load_config(path)
    path.unlink()
    wanted = attrs.evolve(there, drained=False)
    update_config(path, there, wanted)
    assert load_config(path) == wanted


def test_a_time_that_an_earlier_version_wrote_may_still_be_there(path):
    path.write_text(MINE + "since = 1700000000\n")
    assert load_config(path).connectors == (DB, WEB)
    path.write_text(MINE.replace("drained = true", "since = 1"))
    with pytest.raises(ConfigError, match="'since' is not known"):
        load_config(path)
