"""How a flow of some protocol is carried, for the dispatcher, which knows no protocol."""

from typing import Protocol

from van.router.bundles.subchannel import Subchannel
from van.router.flow.outcome import OnEnd, Outcome
from van.wire.channel import Open, Report


class Transport(Protocol):
    """One flow's client, and the means to carry what it says to an instance; made for one dispatch.

    The dispatcher calls in the event loop's thread and in this order: `carry_to_all` alone; or
    `carry` or `carry_here` any number of times, each after the outcome of the one before, with
    `take_back` after each that was refused; at last one of `refuse`, `abort`, and `close`. None of
    these waits; a transport that has to does so in a task of its own. What is called at the end
    leaves nothing of the flow behind.
    """

    @property
    def is_live(self) -> bool:
        """Tell whether anybody still needs an instance for it."""

    @property
    def report(self) -> Report | None:
        """Return what the last instance reported last, if it did."""

    def carry(self, channel: Subchannel, request: Open, on_end: OnEnd) -> None:
        """Begin to carry it on a subchannel, which is the dispatcher's again with `on_end`.

        That is called once, perhaps at once; not when this raises.
        """

    def carry_here(self, on_end: OnEnd) -> None:
        """Begin to carry it to a target of this site; as `carry`.

        That no target took it, `on_end` is told as well.
        """

    def carry_to_all(self) -> None:
        """Carry it to every instance, and see to its end."""

    def take_back(self) -> None:
        """Keep what an instance refused for another one."""

    def has_failed(self, outcome: Outcome) -> bool:
        """Tell whether what became of it speaks against the instance that had it."""

    def refuse(self, reason: str) -> None:
        """End it, because no instance took it."""

    def abort(self, reason: str) -> None:
        """Break it off, whoever carries it."""

    def close(self) -> None:
        """Be done with it, after an outcome that was not a refusal."""
