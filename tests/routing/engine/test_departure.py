"""A site that says goodbye for good is gone, whatever is heard of it from before."""

import msgspec

from lab.routing.conversation import Conversation, of_type
from van.routing.actions import SiteLeft
from van.wire.lsa import IdentityBody, LsaKind


def farewell(author, sequence):
    body = IdentityBody(author.keyring.chain(), has_left=True)
    return author.lsa(LsaKind.IDENTITY, body, sequence)


def with_one_behind_another():
    """Return a conversation in which x is reached through b, and both sites."""
    talk = Conversation()
    b, x = talk.author("b"), talk.author("x")
    talk.open("b", hold_time=1000.0)
    talk.receive("b", b.identity(), b.adjacencies({"us": 1, "x": 1}))
    talk.receive("b", x.identity(), x.adjacencies({"b": 1}))
    talk.wait(1.0)
    assert "x" in talk.engine.fib.routes
    talk.actions()
    return talk, b, x


def test_who_has_left_is_not_known_and_not_reached():
    talk, _, x = with_one_behind_another()
    told = of_type(talk.receive("b", farewell(x, 2)), SiteLeft)
    assert told == [SiteLeft("x", x.keyring.proof().key_id)]
    talk.wait(1.0)
    assert talk.engine.origin("x") is None
    assert "x" not in talk.engine.identities()
    assert "x" not in talk.engine.fib.routes
    assert of_type(talk.receive("b", farewell(x, 3)), SiteLeft) == [], "it is told once"


def test_what_it_said_before_does_not_bring_it_back():
    talk, b, x = with_one_behind_another()
    talk.receive("b", farewell(x, 2))
    talk.receive("b", x.identity(), x.adjacencies({"b": 1}), b.adjacencies({"x": 1}, 2))
    talk.wait(1.0)
    assert talk.engine.origin("x") is None
    assert "x" not in talk.engine.fib.routes


def test_it_may_come_back_itself():
    talk, _, x = with_one_behind_another()
    talk.receive("b", farewell(x, 2))
    talk.receive("b", x.identity(3))
    talk.wait(1.0)
    assert talk.engine.origin("x") is not None
    assert "x" in talk.engine.fib.routes


def test_its_name_is_free_for_another_key_at_once():
    talk, _, x = with_one_behind_another()
    younger = talk.author("x")
    talk.receive("b", younger.identity())
    assert talk.engine.origin("x").key_id == x.keyring.proof().key_id
    talk.receive("b", farewell(x, 2), younger.identity())
    assert talk.engine.origin("x").key_id == younger.keyring.proof().key_id


def test_a_goodbye_that_is_not_its_own_is_not_believed():
    talk, b, x = with_one_behind_another()
    body = IdentityBody(x.keyring.chain(), has_left=True)
    talk.receive("b", msgspec.structs.replace(b.lsa(LsaKind.IDENTITY, body, 2), origin="x"))
    assert talk.engine.origin("x") is not None


def test_we_say_goodbye_in_our_identity():
    talk = Conversation()
    talk.open("b")
    talk.engine.withdraw(now=talk.now)
    talk.engine.leave(now=talk.now)
    assert talk.engine._lsdb.get(("us", LsaKind.IDENTITY)).body.has_left
