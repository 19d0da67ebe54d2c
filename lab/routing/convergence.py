"""When a simulated network is right after a change: at which moment all tables agree with truth."""

from lab.routing.fabric import Fabric
from lab.routing.topology import Link
from lab.routing.truth import Truth
from van.routing.paths.fib import Fib


class Watch:
    """Looks at each table as it changes, and at no other, so that looking costs little."""

    def __init__(self, network: Fabric) -> None:
        self._network = network
        self._wrong: set[str] = set()
        self.right_at: float | None = None
        """Since when all tables have been right; None while they are not."""
        self.computed = 0
        """Tables looked at since the last change."""
        network.fib_watchers.append(self._look)
        self.expect()

    @property
    def is_right(self) -> bool:
        """Tell whether every table is right now."""
        return self.right_at is not None

    def expect(self) -> None:
        """Take what the network ought to be from now on: call this after every change."""
        self.truth = Truth(self._network, self._is_to_be_used)
        self.computed = 0
        self._wrong = {
            name
            for name in self.truth.names
            if not self.truth.agrees(self._network.engine(name).fib)
        }
        self.right_at = None if self._wrong else self._network.now

    def run_until_right(self, most: float) -> float:
        """Let time pass until all tables are right; return how long that was since now.

        Raises `AssertionError` if it takes longer than `most`.
        """
        begun = self._network.now
        self._network.run_until(lambda: self.is_right, most)
        assert self.right_at is not None, f"{sorted(self._wrong)[:5]} not right in {most} s"
        return self.right_at - begun

    def _is_to_be_used(self, link: Link) -> bool:
        return (
            link.is_wanted
            and not link.blocked
            and not any(self._network.sites[end].is_stopped for end in link.ends)
        )

    def _look(self, site: str, fib: Fib) -> None:
        self.computed += 1
        if site not in self.truth.index:
            return
        if not self.truth.agrees(fib):
            self._wrong.add(site)
            self.right_at = None
        elif site in self._wrong:
            self._wrong.remove(site)
            if not self._wrong:
                self.right_at = self._network.now
