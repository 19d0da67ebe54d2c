"""Two sites of one name: the older certificate stays, and the other one is told."""

import pytest

from lab.routing.authority import Authority
from lab.routing.conversation import ALL_BUCKETS, Author, Conversation, lsas, messages, of_type
from lab.routing.invariants import check_databases_agree
from lab.routing.simulation import Network, service
from van.errors import LocalError
from van.routing.actions import AdvertisementDropped, NeighborContested
from van.routing.engine.duplicate_names import SETTLING
from van.wire.link import Digest, Request
from van.wire.lsa import LsaKind


def met(talk: Conversation, author: Author) -> None:
    """Let us know a site, by its link."""
    talk.open(author.site, hold_time=1000.0)
    talk.receive(author.site, author.identity(), author.adjacencies({"us": 1}))
    talk.wait(1.0)
    talk.actions()


def open_as(talk: Conversation, author: Author) -> None:
    """Open a link to a neighbour that proves to be a site, and holds nothing."""
    talk.engine.link_opened(
        author.site, cost=1, hold_time=1000.0, now=talk.now, origin=author.keyring.proof()
    )
    talk.engine.receive(author.site, Digest(ALL_BUCKETS, (), is_last=True), now=talk.now)
    talk.wait(0.1)


def test_second_site_of_a_name_can_not_link_while_the_first_is_reached():
    talk = Conversation()
    older, younger = talk.author("x"), talk.author("x")
    b = talk.author("b")
    met(talk, b)
    talk.receive(
        "b", older.identity(), older.adjacencies({"b": 1}), b.adjacencies({"us": 1, "x": 1}, 2)
    )
    talk.wait(1.0)
    assert "x" in talk.engine.fib.routes
    with pytest.raises(LocalError, match="taken"):
        talk.engine.link_opened(
            "x", cost=1, hold_time=1.0, now=talk.now, origin=younger.keyring.proof()
        )
    talk.engine.link_opened("x", cost=1, hold_time=1.0, now=talk.now, origin=older.keyring.proof())


def test_younger_site_does_not_take_the_link_of_the_older_one():
    talk = Conversation()
    older, younger = talk.author("x"), talk.author("x")
    open_as(talk, older)
    talk.receive("x", older.identity(), older.adjacencies({"us": 1}))
    with pytest.raises(LocalError, match="taken"):
        open_as(talk, younger)
    assert "x" in talk.engine.fib.routes


def test_older_site_that_returns_gets_its_name_back_from_one_that_is_reached():
    talk = Conversation()
    older, younger = talk.author("x"), talk.author("x")
    b = talk.author("b")
    met(talk, b)
    talk.receive("b", b.adjacencies({"us": 1, "x": 1}, 2))
    talk.receive("b", younger.identity(1, incarnation=9), younger.adjacencies({"b": 1}))
    talk.wait(1.0)
    assert "x" in talk.engine.fib.routes
    open_as(talk, older)
    assert "x" not in talk.engine.fib.sites["us"]  # not before its identity is here
    talk.receive("x", older.identity(), older.adjacencies({"us": 1}))
    talk.wait(1.0)
    assert talk.engine.fib.routes["x"].next_hops == ("x",)
    assert talk.engine.origin("x").key_id == older.keyring.key


def test_younger_identity_is_dropped_and_its_sender_gets_the_older_one():
    talk = Conversation()
    older, younger = talk.author("x"), talk.author("x")
    met(talk, older)
    talk.open("b")
    actions = talk.receive("b", younger.identity(1, incarnation=99))
    (drop,) = of_type(actions, AdvertisementDropped)
    assert (drop.neighbor, drop.origin, drop.cause) == ("b", "x", "name-taken")
    assert [(lsa.origin, lsa.kind) for lsa in lsas(actions, "b")] == [("x", LsaKind.IDENTITY)]
    assert talk.engine.origin("x").key_id == older.keyring.key


def test_older_identity_is_taken_whatever_the_versions_are():
    talk = Conversation()
    older, younger = talk.author("x"), talk.author("x")
    met(talk, younger)
    talk.receive("x", younger.identity(1, incarnation=99), younger.addresses(["db:1"]))
    talk.open("b")
    actions = talk.receive("b", older.identity(1))
    assert talk.engine.origin("x").key_id == older.keyring.key
    (request,) = messages(actions, Request, "b")
    assert {entry.origin for entry in request.entries} == {"x"}
    talk.wait(1.0)
    assert talk.engine.fib.services == {}


def test_neighbor_that_loses_its_name_is_given_up_and_not_advertised():
    talk = Conversation()
    older, younger = talk.author("x"), talk.author("x")
    talk.engine.link_opened(
        "x", cost=1, hold_time=1000.0, now=talk.now, origin=younger.keyring.proof()
    )
    talk.receive("x", younger.identity(), younger.adjacencies({"us": 1}))
    assert "x" in talk.engine.fib.sites["us"]
    talk.open("b")
    actions = talk.receive("b", older.identity())
    assert of_type(actions, NeighborContested) == [NeighborContested("x")]
    talk.wait(1.0)
    assert "x" not in talk.engine.fib.sites["us"]


def test_neighbor_that_linked_while_its_name_was_free_is_given_up_if_it_is_taken_meanwhile():
    talk = Conversation()
    older, younger, b = talk.author("x"), talk.author("x"), talk.author("b")
    met(talk, b)
    talk.receive("b", older.identity(), older.adjacencies({"b": 1}))
    assert "x" not in talk.engine.fib.routes  # b does not confirm it
    talk.engine.link_opened(
        "x", cost=1, hold_time=1000.0, now=talk.now, origin=younger.keyring.proof()
    )
    assert "x" not in talk.engine.fib.sites["us"]  # contested
    talk.receive("b", b.adjacencies({"us": 1, "x": 1}, 2))
    talk.wait(1.0)
    assert "x" in talk.engine.fib.routes
    actions = talk.receive("x", younger.identity(9))
    assert of_type(actions, NeighborContested) == [NeighborContested("x")]
    assert talk.engine.origin("x").key_id == older.keyring.key


def lost_its_name(talk: Conversation, older: Author, younger: Author) -> None:
    """Have a neighbour lose its name to a site of which nothing else has come yet."""
    met(talk, younger)
    talk.open("b", hold_time=1000.0)
    talk.receive("b", older.identity())
    assert talk.engine.origin("x").key_id == older.keyring.key


def insists(talk: Conversation, younger: Author, sequence: int) -> bool:
    """Have the younger one say its identity again, and tell whether it has its name by that."""
    talk.receive("x", younger.identity(sequence))
    return talk.engine.origin("x").key_id == younger.keyring.key


def test_younger_one_does_not_get_its_name_back_while_news_of_the_older_one_travels():
    talk = Conversation()
    older, younger = talk.author("x"), talk.author("x")
    lost_its_name(talk, older, younger)
    assert not insists(talk, younger, 2)
    with pytest.raises(LocalError, match="taken"):
        open_as(talk, younger)
    b = talk.author("b")
    talk.receive("b", older.adjacencies({"b": 1}), b.identity(), b.adjacencies({"us": 1, "x": 1}))
    assert "x" not in talk.engine.fib.routes, "routes follow soon"
    assert not insists(talk, younger, 3)
    talk.wait(1.0)
    assert talk.engine.fib.routes["x"].next_hops == ("b",)


def test_younger_one_gets_its_name_back_at_once_when_no_path_leads_to_the_older_one():
    talk = Conversation()
    older, younger = talk.author("x"), talk.author("x")
    lost_its_name(talk, older, younger)
    talk.receive("b", older.adjacencies({"b": 1}))  # b does not confirm it
    talk.wait(1.0)
    assert insists(talk, younger, 2)


def test_younger_one_gets_its_name_back_when_nothing_more_comes_of_the_older_one():
    talk = Conversation()
    older, younger = talk.author("x"), talk.author("x")
    lost_its_name(talk, older, younger)
    talk.wait(SETTLING + 0.1)
    assert insists(talk, younger, 2)


def test_older_identity_of_another_authority_wins_nothing():
    talk = Conversation()
    known = talk.author("x")
    met(talk, known)
    talk.open("b")
    forger = Author(Authority("other"), "x")
    (drop,) = of_type(talk.receive("b", forger.identity(9, incarnation=9)), AdvertisementDropped)
    assert drop.cause == "forged"
    assert talk.engine.origin("x").key_id == known.keyring.key


def test_replayed_identity_of_the_same_key_is_no_contest():
    talk = Conversation()
    x = talk.author("x")
    met(talk, x)
    old = x.identity(2)
    x.keyring.renew(expose=["web"])
    talk.receive("x", x.identity(3))
    talk.open("b")
    actions = talk.receive("b", old)
    assert not of_type(actions, AdvertisementDropped)
    assert [lsa.sequence for lsa in lsas(actions, "b")] == [3]


@pytest.mark.parametrize("is_alive", [True, False], ids=["alive", "dead"])
def test_name_changes_hands_only_when_nobody_has_it(is_alive):
    network = Network(1)
    for name in ("a", "b", "x"):
        network.add_site(name)
    network.add_link("a", "b")
    network.add_link("b", "x")
    network.set_services("x", [service("old:1")])
    network.settle()
    first_key = network.sites["x"].keyring.key
    if not is_alive:
        network.crash("x")
        network.set_services("x", [service("new:1")])
        network.start("x", lost_state=True, new_key=True)
    network.settle()
    holder = network.engine("a").origin("x")
    assert (holder.key_id == first_key) is is_alive
    expected = {("tcp", "old:1" if is_alive else "new:1"): ("x",)}
    assert network.engine("a").fib.services == expected
    check_databases_agree(network, {"a", "b", "x"})


APART = 6.0
"""Seconds in which two parts of a small network settle."""
LINE = "abcd"


def parted() -> Network:
    """Return a line of four, cut in the middle, with a site named x at either end."""
    network = Network(1)
    for name in (*LINE, "x"):
        network.add_site(name)
    network.add_site("younger", called="x")
    for a, b in ("ab", "cd", "ax"):
        network.add_link(a, b)
    network.add_link("d", "younger")
    network.set_services("x", [service("old:1")])
    network.set_services("younger", [service("new:1")])
    return network


def holds_name(network: Network, name: str) -> bool:
    """Tell whether all know one of the two, whichever it is called, and nothing of the other."""
    key = network.sites[name].keyring.key
    address = ("tcp", "old:1" if name == "x" else "new:1")
    engines = [network.engine(site) for site in LINE]
    return all(
        engine.origin("x").key_id == key and engine.fib.services == {address: ("x",)}
        for engine in engines
    )


@pytest.mark.parametrize("incarnation", [1, 50])
def test_when_two_parts_meet_every_site_holds_the_older_one_of_a_name(incarnation):
    network = parted()
    network.crash("younger")
    network.sites["younger"].incarnation = incarnation
    network.start("younger")
    network.run(APART)
    assert "x" in network.engine("d").fib.sites["d"]
    network.add_link("b", "c")
    network.run(2.0)
    assert holds_name(network, "x")
    assert network.contests == [("d", "x")]
    assert network.sites["x"].links["a"].is_up()
    assert not network.sites["younger"].links["d"].is_up()
    # The younger one dials on, which moves nobody.
    network.fib_changes.clear()
    network.traffic.reset()
    network.run(30.0)
    assert holds_name(network, "x")
    assert all(network.fib_changes[name] == 0 for name in LINE)
    assert network.traffic.lsa_copies == 0
    check_databases_agree(network, LINE)


def test_younger_one_has_the_name_for_as_long_as_the_older_one_is_away():
    network = parted()
    network.cut("younger", "d")
    network.add_link("b", "c")
    network.run(APART)
    network.crash("x")
    network.join("younger", "d")
    network.run(3.0)
    assert holds_name(network, "younger")
    network.start("x")
    network.run(5.0)
    assert holds_name(network, "x")
    network.run(30.0)
    assert holds_name(network, "x")
    check_databases_agree(network, LINE)


def test_memory_of_an_older_one_that_is_gone_does_not_keep_the_younger_one_from_its_name():
    network = parted()
    network.cut("younger", "d")
    network.add_link("b", "c")
    network.run(APART)
    network.crash("x")
    network.cut("b", "c")
    network.join("younger", "d")
    network.run(APART)
    network.join("b", "c")
    network.run(5.0)
    assert holds_name(network, "younger")
    check_databases_agree(network, LINE)


def test_memory_of_an_older_one_with_higher_numbers_costs_the_younger_one_its_link_once():
    network = parted()
    network.crash("x")
    network.sites["x"].incarnation = 50
    network.start("x")
    network.run(APART)
    network.crash("x")
    network.run(2.0)
    network.add_link("b", "c")  # only the far side remembers the older one, and can't reach it
    network.run(3.0)
    assert holds_name(network, "younger")
    network.run(60.0)
    assert network.contests == [("d", "x")]
    assert holds_name(network, "younger")
    check_databases_agree(network, LINE)


CLAIMS = [
    ({"depth": 0, "first_issued": 9.0}, {"depth": 1, "first_issued": 1.0}),
    ({"depth": 1, "first_issued": 1.0}, {"depth": 1, "first_issued": 2.0}),
]


@pytest.mark.parametrize(("better", "lesser"), CLAIMS, ids=["nearer to the root", "there first"])
@pytest.mark.parametrize("is_better_first", [False, True])
def test_who_keeps_a_name_follows_from_the_chain_and_then_from_the_first_issue(
    better, lesser, is_better_first
):
    talk = Conversation()
    sites = {}
    for is_better in (is_better_first, not is_better_first):
        sites[is_better] = talk.author("x", **(better if is_better else lesser))
    met(talk, sites[False])
    talk.open("b")
    talk.receive("b", sites[True].identity())
    assert talk.engine.origin("x").key_id == sites[True].keyring.key
    talk.receive("b", sites[False].identity(99, incarnation=99))
    assert talk.engine.origin("x").key_id == sites[True].keyring.key
