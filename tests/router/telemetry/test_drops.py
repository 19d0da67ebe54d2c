from van.router.telemetry.drops import MAX_KINDS, DropTally
from van.routing.actions import AdvertisementDropped


def drop(neighbor="hub", origin="east", cause="forged"):
    return AdvertisementDropped(neighbor, origin, cause, "its key did not sign it")


def test_a_drop_names_the_neighbour_the_origin_and_the_cause():
    said = DropTally().describe(drop())
    assert said == "origin east, passed on by hub: forged: its key did not sign it"


def test_a_repeated_drop_is_told_ever_more_rarely():
    tally = DropTally()
    told = [number for number in range(1, 1001) if tally.describe(drop())]
    assert told == [1, 10, 100, 1000]


def test_a_repeated_drop_says_how_often():
    tally = DropTally()
    said = [text for _ in range(10) if (text := tally.describe(drop()))]
    assert said[-1].endswith("(10 times)")


def test_drops_of_different_kinds_are_told_apart():
    tally = DropTally()
    kinds = [drop(), drop(neighbor="west"), drop(origin="west"), drop(cause="malformed")]
    assert all(tally.describe(each) for each in kinds)


def test_invented_origins_are_neither_remembered_nor_told_without_end():
    tally = DropTally()
    told = [tally.describe(drop(origin=f"o{number}")) for number in range(10 * MAX_KINDS)]
    assert len([text for text in told if text]) < MAX_KINDS + 5
    assert len(tally._counts) == MAX_KINDS + 1
