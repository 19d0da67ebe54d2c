"""What a flow at an instance tells of that instance."""

import pytest

from tests.router.egress.examples import connector, flow, targets
from van.router.egress.instance import ALL_WELL
from van.router.egress.served import SHORT_LIFE, Served
from van.router.egress.targets import REPORT_SPACING
from van.wire.channel import Report


@pytest.mark.parametrize(
    ("said", "lived", "is_learned"),
    [(1, 0.5, True), (0, 0.5, False), (1, SHORT_LIFE + 0.5, False)],
    ids=["short", "without a word", "long"],
)
async def test_a_short_life_counts_as_the_delay_where_nobody_saw_a_request(
    said, lived, is_learned, nursery
):
    (instance,) = connector().instances
    now = 10.0
    served = Served(targets(nursery, lambda: now), instance, flow(said))
    now += lived
    served.over()
    assert instance.backlog.curve.is_empty is not is_learned
    served.over()  # once is enough
    assert instance.backlog.flows == 0


async def test_a_site_is_told_anew_of_an_address_a_while_after_it_was_told(nursery):
    now = 10.0
    here, served = targets(nursery, lambda: now), connector()
    here.add(served)
    here.found(served.instances[0], ALL_WELL)

    def begin(site):
        to_be_served = flow(0)
        to_be_served.peer_site = site
        return Served(here, served.instances[0], to_be_served)

    first = begin("a")
    assert first.report == Report(1, 0.0, 0.0)
    assert begin("a").report is None
    assert first.over() is None
    other = begin("b").report
    assert other is not None
    assert other.in_flight == 2
    now += 2 * REPORT_SPACING
    later = begin("a").report
    assert later is not None
    assert later.in_flight == 3
