"""Looks for an instance that takes a connection, among those that are given in their order.

The next one is tried as soon as one refuses, and beside one that has not answered for a moment; the
first that answers wins. A connection that was not made yet can be given up without the target
hearing of it.
"""

import math
import socket
from collections.abc import Callable, Mapping, Sequence

import trio

from van.router.egress import connecting
from van.router.egress.connecting import Begun
from van.router.egress.instance import ALL_WELL, Finding, Instance, Verdict, judge
from van.wire.channel import Reason

OnFinding = Callable[[Instance, Finding], None]


class TargetRefused(Exception):
    """No target of an address took the connection; never leaves the egress and the ingress."""

    def __init__(self, detail: str, reason: Reason = Reason.TARGET_REFUSED) -> None:
        super().__init__(detail)
        self.reason = reason


class Race:
    """One search; to be run once. What is found out of each instance is told at once."""

    def __init__(
        self, instances: Sequence[Instance], slow_after: float, on_finding: OnFinding
    ) -> None:
        """`slow_after` is for how many seconds one is waited for before another one is tried."""
        self._instances = instances
        self._slow_after = slow_after
        self._on_finding = on_finding
        self._failures: dict[Instance, Finding] = {}
        self._winner: tuple[Instance, socket.socket] | None = None

    async def run(self, *, is_patient: bool, begun: Begun) -> tuple[Instance, socket.socket]:
        """Return the instance that takes the connection; `begun` is the connection to the first.

        Whoever is patient waits for those that are silent as long as the system does, or as long as
        their connectors say. Raises `TargetRefused`.
        """
        try:
            async with trio.open_nursery() as nursery:
                for number, instance in enumerate(self._instances):
                    first = begun if number == 0 else None
                    await self._enter(nursery, instance, first)
                if not is_patient:
                    nursery.cancel_scope.cancel()
        except BaseException:
            if self._winner is not None:
                self._winner[1].close()
            raise
        if self._winner is None:
            raise refusal_of(self._failures, is_patient=is_patient)
        return self._winner

    async def _enter(self, nursery: trio.Nursery, instance: Instance, begun: Begun | None) -> None:
        """Try one, until it answers or has been silent for so long."""
        settled = trio.Event()
        begun = begun or connecting.begin(instance.place)
        nursery.start_soon(self._try, nursery.cancel_scope, instance, begun, settled)
        timeout = min(self._slow_after, instance.connector.config.connect_timeout or math.inf)
        with trio.move_on_after(timeout):
            await settled.wait()
        if not settled.is_set():
            self._lose(instance, Finding(Verdict.SILENT, f"no answer in {timeout:g} s"))

    async def _try(
        self, race: trio.CancelScope, instance: Instance, begun: Begun, settled: trio.Event
    ) -> None:
        timeout = instance.connector.config.connect_timeout or math.inf
        began_at = trio.current_time()
        try:
            with trio.fail_after(timeout):
                sock = await connecting.finish(instance.place, begun)
        except trio.TooSlowError:
            self._lose(instance, Finding(Verdict.SILENT, f"no answer in {timeout:g} s"))
        except OSError as exc:
            self._lose(instance, judge(exc))
        else:
            took = trio.current_time() - began_at
            is_late = took > self._slow_after
            late = Finding(Verdict.LATE, f"it took {took:.1f} s to accept a connection")
            self._on_finding(instance, late if is_late else ALL_WELL)
            if self._winner is None:
                self._winner = instance, sock
                race.cancel()
            else:
                sock.close()
        settled.set()

    def _lose(self, instance: Instance, finding: Finding) -> None:
        self._failures[instance] = finding
        self._on_finding(instance, finding)


def refusal_of(failures: Mapping[Instance, Finding], *, is_patient: bool) -> TargetRefused:
    """Return the refusal of a flow that no instance took, by what was found out of each."""
    detail = "; ".join(
        f"{instance.connector.target}: {finding.why}" for instance, finding in failures.items()
    )
    verdicts = {each.verdict for each in failures.values()}
    if Verdict.SILENT in verdicts and not is_patient:
        return TargetRefused(detail, Reason.SLOW)
    if verdicts == {Verdict.UNASKED}:
        return TargetRefused(detail, Reason.BUSY)
    return TargetRefused(detail)
