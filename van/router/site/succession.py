"""Which of the VAN's roots is the newest that this site has seen at work."""

from van.router.subscription import Subscribers
from van.tls.expulsion_list import ExpulsionList
from van.tls.roots import Roots


class Succession:
    """Follows the roots of a VAN as they succeed each other."""

    def __init__(self, roots: Roots) -> None:
        self.newest = roots
        """The VAN's roots to the newest."""
        self.rolled: Subscribers[[]] = Subscribers()
        """Told once a newer root is seen."""

    def see(self, roots: Roots) -> None:
        """Take note of the roots that somebody's certificate rests on; where one has two
        successors, the first that is seen counts, until one of them puts the old root out."""
        if roots != self.newest and roots.starts_with(self.newest):
            self.newest = roots
            self.rolled.tell()

    def settle(self, expulsions: ExpulsionList) -> None:
        """Follow the successor that counts, after a root was put out."""
        found = expulsions.replacement(self.newest)
        if found is not None:
            self.newest = found.roots
            self.rolled.tell()
