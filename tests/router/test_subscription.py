"""Parts that are built later are told of what happens in those built before, in that order."""

from van.router.subscription import Subscribers


def test_subscribers_are_told_in_the_order_in_which_they_subscribed():
    told: list[tuple[str, int]] = []
    happened: Subscribers[[int]] = Subscribers()
    happened.tell(0)
    happened.subscribe(lambda number: told.append(("first", number)))
    happened.subscribe(lambda number: told.append(("second", number)))
    happened.tell(1)
    happened.tell(2)
    assert told == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]
