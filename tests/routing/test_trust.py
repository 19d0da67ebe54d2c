"""What a malicious neighbour or member can't do."""

import msgspec
import pytest

from lab.routing.authority import Authority
from lab.routing.conversation import ALL_BUCKETS, Author, Conversation, lsas, messages, of_type
from van.errors import RemoteProtocolError
from van.routing.actions import Action, AdvertisementDropped, OwnIncarnationAdvanced, Send
from van.wire.link import Announcement, Digest, DigestEntry, Request
from van.wire.lsa import AdjacenciesBody, Adjacency, Lsa, LsaKind, LsaVersion


def known(talk: Conversation, site: str, **permissions) -> Author:
    """Open a link to a site, and take its identity and adjacency."""
    author = talk.author(site, **permissions)
    talk.open(site, hold_time=1e6)
    talk.receive(site, author.identity(), author.adjacencies({"us": 1}))
    return author


def test_site_can_not_speak_for_another():
    talk = Conversation()
    victim, liar = known(talk, "b"), known(talk, "c")
    forged = msgspec.structs.replace(liar.adjacencies({"us": 1}, 99), origin="b")
    actions = talk.receive("c", forged)
    assert talk.engine.dropped == {"forged": 1}
    assert lsas(actions) == []
    assert talk.engine.fib.adjacencies["b"] == (Adjacency("us", 1, 0),)
    talk.receive("b", victim.adjacencies({"us": 1, "x": 1}, 2))
    assert talk.engine.fib.sites["b"] == ("us", "x")


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"\x91\x90"},
        {"sequence": 9},
        {"incarnation": 9},
        {"signature": b""},
        {"kind": LsaKind.ADDRESSES},
    ],
    ids=lambda change: next(iter(change)),
)
def test_altered_advertisement_is_dropped(change):
    talk = Conversation()
    b = known(talk, "b")
    altered = msgspec.structs.replace(b.adjacencies({"us": 5}, 2), **change)
    assert lsas(talk.receive("b", altered)) == []
    assert talk.engine.dropped == {"forged": 1}
    assert talk.engine.fib.adjacencies["b"] == (Adjacency("us", 1, 0),)


def test_forged_advertisement_does_not_keep_out_the_genuine_one():
    talk = Conversation()
    b = known(talk, "b")
    genuine = b.adjacencies({"us": 1, "x": 1}, 2)
    talk.receive("b", msgspec.structs.replace(genuine, signature=b"no", sequence=2**60))
    talk.receive("b", genuine)
    assert talk.engine.fib.sites["b"] == ("us", "x")


def test_identity_of_another_network_is_not_taken():
    talk = Conversation()
    talk.open("b")
    talk.receive("b", Author(Authority("other"), "b").identity())
    assert talk.engine.dropped == {"forged": 1}
    assert "b" not in talk.engine.fib.sites


def test_identity_that_names_another_site_is_not_taken():
    talk = Conversation()
    talk.open("b")
    b = talk.author("b")
    b.site = "c"
    talk.receive("b", b.identity())
    assert talk.engine.dropped == {"forged": 1}


def test_nothing_is_kept_of_an_origin_that_has_not_proved_itself():
    talk = Conversation()
    talk.open("b")
    held = talk.engine.held()
    stranger = Author(Authority("other"), "b")
    for sequence in range(1, 50):
        talk.receive("b", stranger.identity(sequence), stranger.adjacencies({"us": 1}, sequence))
    assert talk.engine.held() == held
    assert talk.engine.fib.sites.keys() == {"us"}


def test_expired_identity_is_not_taken():
    talk = Conversation()
    talk.open("b")
    b = talk.author("b")
    talk.authority.invalid.add(b.keyring.key)
    talk.receive("b", b.identity())
    assert talk.engine.dropped == {"expired-identity": 1}


def test_site_whose_certificate_expires_is_forgotten():
    talk = Conversation()
    b = known(talk, "b")
    talk.authority.invalid.add(b.keyring.key)
    talk.receive("b", b.adjacencies({"us": 1}, 2))
    assert talk.engine.dropped == {"expired-identity": 1}
    talk.wait(31.0)
    assert "b" not in talk.engine.fib.sites


def test_addresses_that_the_origin_may_not_have_are_ignored_one_by_one():
    talk = Conversation()
    b = known(talk, "b", expose=["web"], bind=["*.lan"])
    actions = talk.receive("b", b.addresses(["web:80", "db:5432"], ["x.lan:1", "y:2"]))
    assert talk.engine.fib.services == {("tcp", "web:80"): ("b",)}
    assert talk.engine.fib.listeners == {("tcp", "x.lan:1"): ("b",)}
    (dropped,) = of_type(actions, AdvertisementDropped)
    assert dropped.cause == "not-allowed"
    assert "2 addresses are ignored: db:5432, y:2" in dropped.detail


def test_advertisement_with_addresses_not_allowed_is_passed_on_whole():
    talk = Conversation()
    talk.open("c")
    b = known(talk, "b", expose=["web"])
    lsa = b.addresses(["web:80", "db:5432"])
    (sent,) = lsas(talk.receive("b", lsa), "c")
    assert sent.body == lsa.body


def test_address_that_is_not_valid_is_ignored():
    talk = Conversation()
    b = known(talk, "b")
    talk.receive("b", b.addresses(["a..b:80", "web:80"]))
    assert talk.engine.fib.services.keys() == {("tcp", "web:80")}


def test_renewed_certificate_changes_what_is_allowed():
    talk = Conversation()
    b = known(talk, "b", expose=["web"])
    talk.receive("b", b.addresses(["web:80", "db:5432"]))
    b.keyring.renew(expose=["db"])
    talk.receive("b", b.identity(2))
    assert talk.engine.fib.services.keys() == {("tcp", "db:5432")}


def test_renewal_with_the_same_key_keeps_what_was_signed():
    talk = Conversation()
    b = known(talk, "b")
    b.keyring.renew()
    talk.receive("b", b.identity(2))
    assert "b" in talk.engine.fib.routes


def test_what_another_key_signed_goes_with_the_old_identity_and_is_requested():
    talk = Conversation()
    b = known(talk, "b")
    talk.receive("b", b.addresses(["db:1"]))
    talk.engine.link_closed("b", now=talk.now)
    talk.open("c")
    successor = talk.author("b")
    actions = talk.receive("c", successor.identity(1, incarnation=2))
    (request,) = messages(actions, Request, "c")
    assert [each.kind for each in request.entries] == [LsaKind.ADJACENCIES, LsaKind.ADDRESSES]
    talk.open("b")
    assert "b" not in talk.engine.fib.routes
    assert talk.engine.fib.services == {}
    talk.receive("b", successor.adjacencies({"us": 1}))
    talk.wait(1.0)
    assert "b" in talk.engine.fib.routes


def test_chain_is_checked_once_for_all_refreshes():
    talk = Conversation()
    b = known(talk, "b")
    identified = talk.keyring.identified
    talk.receive("b", b.identity(2), b.identity(3))
    assert talk.keyring.identified == identified


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91\xa1x",
        AdjacenciesBody((Adjacency("x", 1, 0), Adjacency("x", 2, 0))),
        AdjacenciesBody((Adjacency("b", 1, 0),)),
    ],
    ids=["empty", "no msgpack", "text", "neighbour twice", "itself"],
)
def test_malformed_body_is_dropped_though_genuinely_signed(body):
    talk = Conversation()
    talk.open("c")
    b = known(talk, "b")
    assert lsas(talk.receive("b", b.lsa(LsaKind.ADJACENCIES, body, 2))) == []
    assert talk.engine.dropped == {"malformed": 1}
    assert "b" in talk.engine.fib.routes


def test_malformed_identity_is_dropped():
    talk = Conversation()
    talk.open("b")
    b = talk.author("b")
    talk.receive("b", b.lsa(LsaKind.IDENTITY, b"\xc1"))
    assert talk.engine.dropped == {"malformed": 1}


def test_forged_advertisement_in_our_name_is_not_outbid():
    talk = Conversation()
    talk.open("b")
    liar = talk.author("b")
    forged = msgspec.structs.replace(liar.adjacencies({}, 1, incarnation=99), origin="us")
    actions = talk.receive("b", forged)
    assert not of_type(actions, OwnIncarnationAdvanced)
    assert talk.engine.dropped == {"forged": 1}


def test_a_chain_of_our_name_that_has_signed_nothing_is_no_other_site_of_that_name():
    talk = Conversation()
    other = talk.author("us")
    talk.open("b")
    shown = msgspec.structs.replace(other.identity(incarnation=7), signature=b"x")
    talk.receive("b", shown)
    assert talk.engine.dropped == {"forged": 1}


def test_one_bad_advertisement_does_not_spoil_the_rest_of_a_message():
    talk = Conversation()
    b = known(talk, "b")
    bad = msgspec.structs.replace(b.adjacencies({}, 5), signature=b"x")
    talk.receive("b", bad, b.addresses(["db:1"]))
    assert ("tcp", "db:1") in talk.engine.fib.services


def test_request_for_what_can_not_be_proved_is_not_repeated_without_end():
    talk = Conversation()
    talk.open("b")
    stranger = Author(Authority("other"), "x")
    sent = 0
    for sequence in range(1, 100):
        actions = talk.receive("b", stranger.identity(sequence), stranger.adjacencies({}, sequence))
        sent += len([each for each in of_type(actions, Send) if hasattr(each.message, "entries")])
    assert sent == 1


def test_digest_out_of_order_ends_the_link():
    talk = Conversation()
    talk.open("b")
    entries = tuple(DigestEntry(name, LsaKind.IDENTITY, 1, 1) for name in "zy")
    with pytest.raises(RemoteProtocolError):
        talk.engine.receive("b", Digest(ALL_BUCKETS, entries, is_last=True), now=talk.now)


def test_replayed_advertisement_is_answered_with_the_present_one():
    talk = Conversation()
    b = known(talk, "b")
    old, new = b.adjacencies({"us": 1, "x": 1}, 2), b.adjacencies({"us": 1}, 3)
    talk.receive("b", old)
    talk.receive("b", new)
    sent = talk.receive("b", old)
    assert [lsa.sequence for lsa in lsas(sent, "b")] == [3]
    assert talk.engine.fib.sites["b"] == ("us",)


def top(author: Author, **versions: int) -> list[Lsa]:
    return [author.identity(**versions), author.adjacencies({"us": 1}, **versions)]


def test_nobody_can_be_in_an_incarnation_of_the_far_future():
    talk = Conversation()
    b = known(talk, "b")
    talk.receive("b", *top(b, incarnation=2**31 + 1), *top(b, incarnation=2**63 - 1))
    assert talk.engine.dropped == {"implausible": 4}
    talk.receive("b", *top(b, incarnation=2**31))
    assert talk.engine.held()[0].incarnation == 2**31


@pytest.mark.parametrize("incarnation", [2**31 + 1, 2**63 - 1])
def test_no_version_of_our_own_key_drives_us_beyond_what_others_believe(incarnation):
    talk = Conversation()
    talk.open("b")
    copy = talk.author("us")
    copy.keyring = talk.keyring
    actions = talk.receive("b", *top(copy, incarnation=incarnation))
    assert not of_type(actions, OwnIncarnationAdvanced)
    assert talk.engine.dropped == {"implausible": 2}


@pytest.mark.parametrize(
    "version", [{"sequence": 2**63 - 1}, {"incarnation": 2**31, "sequence": 2**63 - 1}]
)
def test_who_is_driven_to_a_top_goes_on_from_it(version):
    """By a copy of its key: what it says then is believed, now or a second later."""
    talk = Conversation()
    talk.open("b", hold_time=1e6)
    copy = talk.author("us")
    copy.keyring = talk.keyring
    driven_to = version.get("incarnation", 2)
    sent = lsas(talk.receive("b", copy.identity(**{"incarnation": 2, **version})), "b")
    assert {lsa.incarnation for lsa in sent} == {driven_to + 1}
    assert driven_to + 1 <= talk.authority.latest_incarnation + 1  # a second later
    assert all(lsa.sequence < 2**40 for lsa in sent)


def test_an_inviting_site_moves_nothing_of_ours_by_a_certificate_of_our_name():
    talk = Conversation()
    known(talk, "b")
    held = talk.engine.held()
    for claim in ({"depth": 1}, {"first_issued": 0.0}, {"depth": 1, "first_issued": 0.0}):
        liar = talk.author("us", **claim)
        for incarnation, sequence in ((2, 1), (2**31, 2**63 - 1), (2**63 - 1, 2**63 - 1)):
            version = {"incarnation": incarnation, "sequence": sequence}
            actions = talk.receive("b", *top(liar, **version))
            assert not of_type(actions, OwnIncarnationAdvanced)
    assert talk.engine.held() == held
    talk.wait(400.0)
    assert {each.incarnation for each in talk.engine.held() if each.origin == "us"} == {1}


def announced(talk: Conversation, entry: DigestEntry) -> list[Action]:
    talk.engine.receive("b", Announcement((entry,)), now=talk.now)
    return talk.actions()


def test_what_is_announced_from_the_far_future_is_not_asked_for():
    talk = Conversation()
    talk.open("b")
    entry = DigestEntry("x", LsaKind.IDENTITY, 2**63 - 1, 1)
    assert not messages(announced(talk, entry), Request)
    entry = DigestEntry("x", LsaKind.IDENTITY, 2**31, 1)
    assert messages(announced(talk, entry), Request)


@pytest.mark.parametrize("version", [(2**63, 1), (1, 2**63), (-1, 1)])
def test_a_version_that_no_peer_would_decode_can_not_be_signed(version):
    with pytest.raises(ValueError, match="not valid in a version"):
        LsaVersion(*version)


def test_neighbours_are_asked_who_else_has_the_name_of_a_site_that_was_put_out():
    """Another may have it there, and was refused here as long as this one had it."""
    talk = Conversation()
    b = known(talk, "b")
    talk.open("c", hold_time=1e6)
    for name in ("x", "y"):
        each = talk.author(name)
        talk.receive("c", each.identity(), each.adjacencies({"c": 1}))
        talk.authority.expelled.add(each.keyring.key)
    talk.engine.drop_expelled(now=talk.now)
    actions = talk.actions()
    for neighbor in ("b", "c"):
        (request,) = messages(actions, Request, neighbor)
        assert {(each.origin, each.incarnation) for each in request.entries} == {("x", 0), ("y", 0)}
    assert talk.engine.origin("x") is None
    assert talk.engine.origin("b").key_id == b.keyring.key
