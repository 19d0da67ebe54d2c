"""The page on the wire protocol and the messages in `van.wire` say the same."""

import re

import msgspec
import pytest

from tests.docs.pages import ROOT, rows_under
from van.wire import channel, join, link, lsa
from van.wire.revision import MAJOR, MINOR

TEXT = (ROOT / "docs" / "protocol.md").read_text()
CONVERSATIONS = {"van-join/1": join, "van-link/1": link, "van-channel/1": channel}


def section(alpn):
    return TEXT.partition(f"\n## `{alpn}`\n")[2].partition("\n## ")[0]


def documented(alpn):
    """Map each kind of a conversation to its name and what the page says of its payload."""
    noun = "frame | payload" if alpn == channel.ALPN else "message | fields"
    rows = rows_under(section(alpn), f"| kind | {noun} |")
    return {int(kind): (name, payload) for kind, name, payload in rows}


def messages(conversation):
    """Map each kind to the message that the codec makes of it."""
    return {kind: form for form, kind in conversation.CODEC._kinds.items()}


@pytest.mark.parametrize("conversation", [join, link], ids=["join", "link"])
def test_kinds_of_messages_are_those_of_the_codec(conversation):
    found = {kind: name for kind, (name, _) in documented(conversation.ALPN).items()}
    assert found == {kind: form.__name__ for kind, form in messages(conversation).items()}


def test_kinds_of_frames_are_those_of_channels():
    found = {kind: name for kind, (name, _) in documented(channel.ALPN).items()}
    assert found == {int(kind): kind.name for kind in channel.Kind}


@pytest.mark.parametrize(
    ("alpn", "kind"), [(a, k) for a, each in CONVERSATIONS.items() for k in messages(each)]
)
def test_fields_of_a_message_are_those_of_the_code(alpn, kind):
    fields = [each.name for each in msgspec.structs.fields(messages(CONVERSATIONS[alpn])[kind])]
    name, payload = documented(alpn)[kind]
    told = re.findall(r"(?:^| · )(\w+)", payload) if fields else []
    assert told == fields, name


def test_alpn_names_and_revisions_are_those_of_the_code():
    assert re.findall(r"^\| `(van-[a-z]+/\d)` \|", TEXT, re.MULTILINE) == list(CONVERSATIONS)
    assert f"The revision described here is {MAJOR}.{MINOR}." in " ".join(TEXT.split())
    assert [each.ALPN for each in CONVERSATIONS.values()] == list(CONVERSATIONS)


def test_reasons_of_a_refusal_are_those_of_the_code():
    (sentence,) = re.findall(r"^Reasons: (.+?)\.", TEXT, re.MULTILINE | re.DOTALL)
    told = {int(number): text for number, text in re.findall(r"(\d+) ([\w\s]+)", sentence)}
    assert sorted(told) == sorted(map(int, channel.Reason))


def test_kinds_of_advertisements_are_those_of_the_code():
    rows = rows_under(TEXT, "| kind | body |")
    assert [row[0].lower() for row in rows] == [
        f"{kind:d} {kind.name.lower()}" for kind in lsa.LsaKind
    ]


def test_fields_of_an_advertisement_are_those_of_the_code():
    rows = rows_under(TEXT, "| field | type | |")
    assert [row[0] for row in rows] == [each.name for each in msgspec.structs.fields(lsa.Lsa)]
