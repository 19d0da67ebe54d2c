"""What flooding missed is found all the same."""

import networkx as nx
import pytest

from lab.routing.conversation import ALL_BUCKETS, Conversation, lsas, messages, of_type
from lab.routing.invariants import check_all, check_databases_agree
from lab.routing.simulation import Network, service
from van.routing.actions import Send
from van.routing.engine.reception import FETCH_TIME
from van.routing.flooding.tree import MAX_LATE, MIN_EAGER
from van.routing.schedule.timers import Timers
from van.wire.link import (
    Advertisements,
    Announcement,
    Digest,
    DigestEntry,
    FloodMode,
    Request,
    Summary,
)
from van.wire.lsa import LsaKind

SIZE = 16


def mesh() -> Network:
    """Return a full mesh that has had news enough to find its flooding tree."""
    network = Network(1, is_fast=True, timers=Timers(heartbeat_interval=2.0))
    network.add_graph(nx.complete_graph(SIZE))
    network.run(4.0)
    for name in network.sites:
        network.set_services(name, [service("warm:1")])
        network.run(0.5)
    return network


@pytest.mark.parametrize("kind", LsaKind)
def test_advertisement_that_was_lost_from_a_database_comes_back_by_a_summary(kind):
    network = Network(1)
    network.add_graph(nx.cycle_graph(5))
    network.settle()
    network.engine("s0")._lsdb.remove(("s2", kind))
    with pytest.raises(AssertionError):
        check_databases_agree(network, network.sites)
    network.run(2 * network.timers.summary_interval)
    check_all(network)


@pytest.mark.slow("a mesh of sites, and a second of all that they say")
def test_news_goes_round_though_all_who_sent_it_whole_are_cut_off_at_once():
    network = mesh()
    branches = network.engine("s1")._tree._branches
    eager = [name for name, branch in branches.items() if branch.is_eager]
    assert MIN_EAGER <= len(eager) < SIZE - 1
    for name in eager:
        network.block(name, "s1")  # without a word: it takes a hold time to be noticed
    source = next(name for name in branches if name not in eager)
    network.set_services(source, [service("news:1")])
    network.run(1.0)
    assert network.silences == []
    assert ("tcp", "news:1") in network.engine("s1").fib.services


def pruned(talk: Conversation, *, lazy: int) -> list[str]:
    """Open enough links that some neighbours are asked to announce only; return those."""
    names = [f"n{number}" for number in range(MIN_EAGER + lazy)]
    x = talk.author("x")
    talk.open(*names, hold_time=1e6)
    talk.receive(names[-1], x.identity())
    asked = []
    for name in names[:lazy]:
        for _ in range(MAX_LATE):
            actions = talk.receive(name, x.identity())
        assert messages(actions, FloodMode, name) == [FloodMode(is_eager=False)]
        asked.append(name)
    return asked


def test_last_neighbor_that_announced_only_is_asked_to_send_whole():
    talk = Conversation()
    (lazy,) = pruned(talk, lazy=1)
    talk.engine.link_closed(f"n{MIN_EAGER}", now=talk.now)
    assert messages(talk.actions(), FloodMode) == [FloodMode(is_eager=True)]
    for number in range(1, MIN_EAGER):
        talk.engine.link_closed(f"n{number}", now=talk.now)
        assert messages(talk.actions(), FloodMode) == []
    assert talk.engine._tree._branches[lazy].is_eager


def entry(sequence: int) -> DigestEntry:
    return DigestEntry("x", LsaKind.IDENTITY, 1, sequence)


def digest_of(*entries: DigestEntry) -> Digest:
    return Digest(ALL_BUCKETS, entries, is_last=True)


def is_summary(action: Send) -> bool:
    return isinstance(action.message, Summary)


def test_what_is_announced_and_not_held_is_fetched_from_one_neighbor_who_sends_again():
    talk = Conversation()
    first, second = pruned(talk, lazy=2)
    talk.engine.receive(first, Announcement((entry(5),)), now=talk.now)
    talk.engine.receive(second, Announcement((entry(5),)), now=talk.now)
    actions = talk.actions()
    assert len(messages(actions, Request, first)) == 1
    assert messages(actions, FloodMode, first) == [FloodMode(is_eager=True)]
    assert messages(actions, Request, second) == []
    talk.wait(FETCH_TIME)
    talk.engine.receive(second, Announcement((entry(5),)), now=talk.now)
    assert len(messages(talk.actions(), Request, second)) == 1


def test_neighbor_that_is_lost_before_it_sends_what_it_announced_is_made_up_for_by_another():
    talk = Conversation()
    lazy, _ = pruned(talk, lazy=2)
    talk.engine.receive(lazy, Announcement((entry(5),)), now=talk.now)
    talk.actions()
    talk.engine.link_closed(lazy, now=talk.now)
    (asked,) = {each.neighbor for each in of_type(talk.actions(), Send) if is_summary(each)}
    talk.engine.receive(asked, digest_of(entry(5)), now=talk.now)
    assert len(messages(talk.actions(), Request, asked)) == 1


def test_neighbor_that_sent_what_it_announced_owes_nothing():
    talk = Conversation()
    (lazy,) = pruned(talk, lazy=1)
    y = talk.author("y")
    talk.engine.receive(
        lazy, Announcement((DigestEntry("y", LsaKind.IDENTITY, 1, 5),)), now=talk.now
    )
    talk.receive(lazy, y.identity(5))
    talk.engine.link_closed(lazy, now=talk.now)
    assert messages(talk.actions(), Summary) == []


def test_announcement_of_what_is_held_asks_for_nothing():
    talk = Conversation()
    (lazy,) = pruned(talk, lazy=1)
    talk.engine.receive(lazy, Announcement((entry(1),)), now=talk.now)
    assert messages(talk.actions(), Request) == []


def test_announcement_of_what_is_old_is_answered_with_the_newer():
    talk = Conversation()
    (lazy,) = pruned(talk, lazy=1)
    talk.engine.receive(lazy, Announcement((entry(0),)), now=talk.now)
    talk.wait(0.1)
    assert [(lsa.origin, lsa.sequence) for lsa in lsas(talk.actions(), lazy)] == [("x", 1)]


def test_neighbor_that_asked_for_it_gets_one_announcement_of_all_that_changed_meanwhile():
    talk = Conversation()
    talk.open("b", "c", hold_time=1e6)
    talk.wait(3.0)
    talk.actions()
    talk.engine.receive("c", FloodMode(is_eager=False), now=talk.now)
    x, y = talk.author("x"), talk.author("y")
    begun = talk.now
    talk.engine.receive("b", Advertisements((x.identity(3),)), now=talk.now)
    talk.wait(0.1)
    talk.engine.receive("b", Advertisements((y.identity(4),)), now=talk.now)
    # What the neighbour shows to have needs no announcement.
    z = talk.author("z")
    talk.engine.receive("b", Advertisements((z.identity(),)), now=talk.now)
    talk.engine.receive("c", Advertisements((z.identity(),)), now=talk.now)
    talk.wait(begun + Timers().announce_delay - talk.now - 0.01)
    assert messages(talk.actions(), Announcement) == []
    talk.wait(0.02)
    actions = talk.actions()
    (announcement,) = messages(actions, Announcement, "c")
    assert {(each.origin, each.sequence) for each in announcement.entries} == {("x", 3), ("y", 4)}
    talk.wait(1.0)
    assert lsas(talk.actions(), "c") == []


def test_parting_words_go_whole_to_those_who_want_announcements():
    talk = Conversation()
    talk.open("b", "c", hold_time=1e6)
    talk.engine.receive("c", FloodMode(is_eager=False), now=talk.now)
    talk.actions()
    talk.engine.withdraw(now=talk.now)
    assert {lsa.kind for lsa in lsas(talk.actions(), "c")} == {
        LsaKind.ADJACENCIES,
        LsaKind.ADDRESSES,
    }
