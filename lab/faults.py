"""Faults on the path in use, and what the clients of the network notice of each."""

import enum
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import attrs
import trio

from lab.probing import EchoServer, End, LiveFlow, Prober, is_served
from lab.redundant import PROBE, Path, Redundant

OBSERVATION: Final = 20.0
"""Longest time in seconds to wait for new flows to be served, and for live ones to be told."""
STEADY_TIMEOUT: Final = 10.0
"""Longest time in seconds to wait for new flows to be served promptly: a busy machine may never
get there, and the fault is injected all the same."""
GOOD: Final = 1.0
"""Seconds without a failure after which new flows are taken to be served for good."""
PAUSE: Final = 0.02
"""Seconds between new flows: much more of them would keep two processors busy by themselves."""


class Fault(enum.StrEnum):
    """What is done to the path in use."""

    CUT = "closed link"
    STALL = "silent black hole"
    STOP = "transit stopped (SIGSTOP)"
    KILL = "transit killed (SIGKILL)"


@attrs.frozen
class Observation:
    """What one fault did; times are seconds from its injection, None for what never came."""

    where: str
    """The link or the site that failed."""
    first_served: float | None
    """When the first new flow got its first byte."""
    served_for_good: float | None
    """When a new flow got its first byte and none that began later failed."""
    failures: int
    """New flows that were refused, reset, or not served within half a second."""
    client_told: float | None
    """When the client of the flow that was under way on the path saw its end."""
    server_told: float | None
    client_saw_reset: bool
    """Whether it was a reset, and not the orderly end of a complete answer."""
    server_saw_reset: bool


@attrs.define
class Injector:
    """Injects faults into a network one at a time, each on the path of a live flow."""

    net: Redundant
    server: EchoServer
    pause: float = PAUSE

    async def observe(self, fault: Fault, turn: int) -> Observation:
        """Inject a fault and return what became of flows; the network is whole again after.

        The turn chooses among the links, or the transit sites, of the path. Raises
        `AssertionError` when the network does not become whole.
        """
        prober = Prober(self.net.client_port, self.pause)
        async with trio.open_nursery() as nursery:
            live, path = await self._follow(nursery)
            where, inject, mend = self._plan(fault, path, turn)
            nursery.start_soon(prober.run)
            with trio.move_on_after(STEADY_TIMEOUT):
                await prober.steady()
            began = time.monotonic()
            inject()
            with trio.move_on_after(OBSERVATION):
                while not self._is_over(live, prober, began):
                    await trio.sleep(0.02)
            observed = self._sum_up(where, live, prober, began)
            nursery.cancel_scope.cancel()
        mend()
        await trio.to_thread.run_sync(self.net.wait_whole)
        return observed

    async def _follow(self, nursery: trio.Nursery) -> tuple[LiveFlow, Path]:
        """Open a live flow, and return it with the path that it takes."""
        with trio.fail_after(OBSERVATION):
            # Tables that are right do not mean that the channels along them have been made.
            while not await is_served(self.net.client_port):
                await trio.sleep(0.1)
        live = LiveFlow(self.net.client_port)
        before = self.net.cables.carried()
        await nursery.start(partial(live.run, size=PROBE))
        return live, self.net.path_of(before, self.net.cables.carried())

    def _plan(
        self, fault: Fault, path: Path, turn: int
    ) -> tuple[str, Callable[[], None], Callable[[], None]]:
        """Return what fails, and the calls that break and mend it."""
        net, cables = self.net, self.net.cables
        cable = path.cables[turn % len(path.cables)]
        site = path.transits[turn % len(path.transits)]
        match fault:
            case Fault.CUT:
                return cable, partial(cables.cut, cable), partial(cables.mend, cable)
            case Fault.STALL:
                return cable, partial(cables.stall, cable), partial(cables.mend, cable)
            case Fault.STOP:
                pid = net.pid(site)
                stop, go_on = (partial(os.kill, pid, n) for n in (signal.SIGSTOP, signal.SIGCONT))
                return site, stop, go_on
            case Fault.KILL:
                return site, partial(net.kill_router, site), partial(net.launch, site)

    def _is_over(self, live: LiveFlow, prober: Prober, began: float) -> bool:
        good = prober.served_for_good(began)
        is_good = good is not None and time.monotonic() - good > GOOD
        return is_good and live.end is not None and live.tag in self.server.ends

    def _sum_up(self, where: str, live: LiveFlow, prober: Prober, began: float) -> Observation:
        def after(moment: float | None) -> float | None:
            return None if moment is None else moment - began

        client: End | None = live.end
        server = self.server.ends.get(live.tag)
        return Observation(
            where=where,
            first_served=after(prober.first_served(began)),
            served_for_good=after(prober.served_for_good(began)),
            failures=prober.failures(began),
            client_told=after(client.at if client else None),
            server_told=after(server.at if server else None),
            client_saw_reset=client is not None and client.is_reset,
            server_saw_reset=server is not None and server.is_reset,
        )
