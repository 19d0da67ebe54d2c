"""Authorities that tests share; nothing changes them."""

import pytest

from tests.tls.forging import NOW, invite
from van.tls.authority import Authority


@pytest.fixture(scope="session")
def root():
    return Authority.create_root(now=NOW)


@pytest.fixture(scope="session")
def inviter(root):
    """The authority of a site that the root let invite."""
    return invite(root, "hub")
