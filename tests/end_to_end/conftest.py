"""Three sites as processes, of which only the one in the middle can be dialled."""

from collections.abc import Iterator

import pytest

from lab.processes import Lab
from lab.recovery import SITES


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A machine with no site yet."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="session")
def shared_sites() -> Iterator[Lab]:
    """Sites west, hub, and east for all tests: to set them up takes a while."""
    with Lab() as made:
        made.three_sites()
        yield made


@pytest.fixture
def sites(shared_sites: Lab) -> Lab:
    """Sites west, hub, and east, each with its router up; a test may take routers down."""
    for site in SITES:
        if site not in shared_sites.pids():
            shared_sites.up(site)
    return shared_sites
