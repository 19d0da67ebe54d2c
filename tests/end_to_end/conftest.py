"""Three sites as processes, of which only the one in the middle can be dialled."""

from collections.abc import Iterator

import pytest

from tests.support.processes import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A machine with no site yet."""
    with Lab() as made:
        yield made


@pytest.fixture
def sites() -> Iterator[Lab]:
    """Sites west, hub, and east, for one test."""
    with Lab() as made:
        made.three_sites()
        yield made


@pytest.fixture(scope="module")
def shared_sites() -> Iterator[Lab]:
    """Sites west, hub, and east, for tests that take none of them down."""
    with Lab() as made:
        made.three_sites()
        yield made
