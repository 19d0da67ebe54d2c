"""What a flow at an instance tells of that instance."""

import pytest

from tests.router.egress.examples import connector, flow, targets
from van.router.egress.served import SHORT_LIFE, Served


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
