"""The experiments of `benchmarks.balancing` with real routers and real connections.

Every site has a router process of its own, linked in a star, and one or two backends; requests come
at the same times and are as much work as in the simulation, but everything takes longer, so that
a machine of two processors can do it. A request is a connection that sends its number and waits for
an answer. Beside the routers stands what the oracle would have reached, simulated with the same
requests and with no time on the way.
"""

import argparse
import json
import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from benchmarks.balancing.__main__ import SCENARIOS, SETTLE, SLOWED, watched
from benchmarks.balancing.rules import RULES
from benchmarks.balancing.simulation import (
    WORKERS,
    Arrival,
    Outcome,
    Scenario,
    Setting,
    Simulation,
)
from benchmarks.common.reporting import emit, note, number, percentile
from lab.fleet import Fleet
from lab.ports import free_port
from lab.processes import wait_for
from van.config import ConnectorConfig, LinkConfig, ListenerConfig, SiteConfig
from van.control.values.attachments import ConnectorSpec
from van.names import Address, Endpoint

LOOPBACK: Final = "127.0.0.1"
ADDRESS: Final = Address("bench", 1)
MEAN_WORK: Final = 0.2
"""Seconds of a worker at full speed: ten times what the simulation has."""
NUMBER: Final = struct.Struct("!I")
SLICE: Final = 0.05
"""Seconds after which a worker looks whether its speed has changed."""
WARM_UP: Final = 200
"""Requests that no figure counts."""
PATIENCE: Final = 120.0
"""Seconds after which a request counts as lost."""
LIVE: Final = {
    **{name: SCENARIOS[name] for name in ("unequal", "stall", "freeze", "join")},
    "kill": Scenario((1.0,) * 3),
    "drain": Scenario((1.0,) * 3),
    "linkerd": Scenario((1.0,) * 11, ((0.25, SLOWED, 1 / 100), (0.75, SLOWED, 1.0))),
}
LINKERD_RATE, LINKERD_SECONDS = 200.0, 60.0
LINKERD_WORK: Final = 0.02
VICTIM: Final = 1
"""The backend that is killed or drained, half-way."""

Row = dict[str, Any]


def main() -> None:
    """Run the experiments one after the other."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.balancing.live", description=__doc__
    )
    parser.add_argument("--scenarios", default=",".join(LIVE), help="such as unequal,kill")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each experiment")
    parser.add_argument("--load", type=float, default=0.75)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.scenarios.split(","):
        note(name)
        setting = make_setting(name, options.load, options.seconds, options.seed)
        rows.append(run(name, setting))
        if options.json is not None:
            options.json.write_text(json.dumps({"live": rows}, indent=1) + "\n")
    for row in rows:
        name = row.pop("scenario")
        emit(f"{name}, real routers", [*row], [[_cell(each) for each in row.values()]])


def _cell(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def make_setting(name: str, load: float, seconds: float, seed: int) -> Setting:
    """Return what is to be run."""
    scenario = LIVE[name]
    if name == "linkerd":
        count = round(LINKERD_RATE * LINKERD_SECONDS)
        return Setting(scenario, LINKERD_RATE, count, 1, seed, LINKERD_WORK, (0.0, 0.0))
    left = 2 / 3 if name in {"kill", "drain"} else 1.0
    """What part of the backends carries the load in the end."""
    rate = scenario.rate(load * left, MEAN_WORK)
    ingresses = min(8, len(scenario.speeds))
    return Setting(scenario, rate, round(rate * seconds), ingresses, seed, MEAN_WORK, (0.0, 0.0))


def run(name: str, setting: Setting) -> Row:
    """Run one experiment, and return its figures."""
    with Fleet() as fleet:
        experiment = Experiment(name, setting, fleet)
        trio.run(experiment.run)
    return figures(name, setting, experiment)


def figures(name: str, setting: Setting, experiment: "Experiment") -> Row:
    """Return what is to be known of an experiment, in milliseconds where nothing else is said."""
    outcome = experiment.outcome()
    answered = [delay for delay in outcome.delays[WARM_UP:] if delay < PATIENCE]
    row: Row = {"scenario": name, "requests": len(outcome.delays)}
    row |= {f"p{part:g}": percentile(answered, part) * 1000 for part in (50, 99, 99.9)}
    if name in SCENARIOS:
        oracle = Simulation(setting, RULES["oracle"]).run().delays[WARM_UP:]
        for part in (50, 99):
            row[f"p{part} / oracle"] = percentile(answered, part) / percentile(oracle, part)
        simulated = Simulation(setting, RULES["van"]).run()
        delays = simulated.delays[WARM_UP:]
        row["simulated p99 / oracle"] = percentile(delays, 99) / percentile(oracle, 99)
        row |= watched(setting, outcome)
        row |= {f"simulated: {what}": each for what, each in watched(setting, simulated).items()}
    if name == "linkerd":
        quick = sum(delay <= 1 for delay in outcome.delays)
        row["within 1 s, %"] = 100 * quick / len(outcome.delays)
    row["failed"] = len(experiment.failed)
    victim = experiment.backends[VICTIM]
    if name == "kill":
        row["of these not accepted before"] = len(experiment.failed - victim.accepted_when_gone)
    if name == "drain":
        late = [each for each in victim.reached if each > experiment.happened + SETTLE]
        row["came there 0.5 s later"] = len(late)
    return row


@attrs.define(eq=False)
class Backend:
    """Workers with one queue behind a port."""

    number: int
    speed: float
    works: Sequence[float]
    """Of each request, in seconds at full speed."""
    limit: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(WORKERS))
    changed: trio.Event = attrs.field(factory=trio.Event)
    port: int = 0
    reached: list[float] = attrs.field(factory=list)
    """When requests came."""
    here: set[int] = attrs.field(factory=set)
    accepted_when_gone: set[int] = attrs.field(factory=set)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve until it is gone."""
        with self.scope:
            async with trio.open_nursery() as nursery:
                listeners = await nursery.start(
                    partial(trio.serve_tcp, self._serve, 0, host=LOOPBACK, handler_nursery=nursery)
                )
                self.port = listeners[0].socket.getsockname()[1]
                task_status.started()

    async def _serve(self, stream: trio.SocketStream) -> None:
        try:
            async with stream:
                asked = await stream.receive_some(NUMBER.size)
                if len(asked) < NUMBER.size:
                    return  # the router looks whether anybody is here
                self.reached.append(trio.current_time())
                (request,) = NUMBER.unpack(asked)
                self.here.add(request)
                async with self.limit:
                    await self._work(self.works[request])
                await stream.send_all(NUMBER.pack(self.number))
                self.here.discard(request)
        except trio.BrokenResourceError:
            pass  # the client's patience was shorter

    async def _work(self, left: float) -> None:
        while left > 0:
            if self.speed <= 0:
                await self.changed.wait()
                continue
            speed, began = self.speed, trio.current_time()
            await trio.sleep(min(SLICE, left / speed))
            left -= (trio.current_time() - began) * speed

    def change(self, speed: float) -> None:
        """Go on at another speed."""
        self.speed = speed
        self.changed.set()
        self.changed = trio.Event()

    def die(self) -> None:
        """Be gone at once, as after SIGKILL."""
        self.accepted_when_gone = set(self.here)
        self.scope.cancel()


class Experiment:
    """Routers, backends, and clients, and what became of the requests."""

    def __init__(self, name: str, setting: Setting, fleet: Fleet) -> None:
        self.name = name
        self.setting = setting
        self.fleet = fleet
        self.arrivals = list(setting.arrivals())
        works = [each.work for each in self.arrivals]
        self.backends = [
            Backend(place, speed, works) for place, speed in enumerate(setting.scenario.speeds)
        ]
        self.failed: set[int] = set()
        self.happened = 0.0
        """When the backend was killed or drained."""
        self._ports: list[int] = []
        self._began: list[float] = [0.0] * len(works)
        self._delays = [PATIENCE] * len(works)
        self._by = [-1] * len(works)

    def outcome(self) -> Outcome:
        """Return what became of each request, as the simulation does."""
        return Outcome([each.when for each in self.arrivals], self._by, self._delays)

    async def run(self) -> None:
        """Start all, let all requests come, and wait for the last answer."""
        async with trio.open_nursery() as nursery:
            for backend in self.backends:
                await nursery.start(backend.run)
            await trio.to_thread.run_sync(self._start_routers)
            begins = trio.current_time()
            async with trio.open_nursery() as going:
                going.start_soon(self._let_happen, begins)
                for request, arrival in enumerate(self.arrivals):
                    await trio.sleep_until(begins + arrival.when)
                    going.start_soon(self._ask, request, arrival)
            nursery.cancel_scope.cancel()

    def _site(self, backend: int) -> str:
        """Return where a backend is: they are dealt out to the sites in turn; where there is but
        one ingress, each has a site of its own."""
        count = self.setting.ingresses
        return f"s{backend % count}" if count > 1 else f"s{backend + 1}"

    def _start_routers(self) -> None:
        hub = Endpoint(LOOPBACK, free_port())
        entries = [f"s{place}" for place in range(self.setting.ingresses)]
        exits = {self._site(backend.number) for backend in self.backends}
        sites = sorted({*entries, *exits})
        self.fleet.make("hub", SiteConfig(hub))
        for site in sites:
            ports = [Endpoint(LOOPBACK, free_port())] if site in entries else []
            self._ports += [each.port for each in ports]
            connectors = [
                ConnectorConfig("tcp", ADDRESS, Endpoint(LOOPBACK, backend.port))
                for backend in self.backends
                if self._site(backend.number) == site
                and backend.number not in self.setting.scenario.joins
            ]
            self.fleet.make(
                site,
                SiteConfig(
                    links=(LinkConfig("hub", (hub,)),),
                    connectors=tuple(connectors),
                    listeners=tuple(ListenerConfig("tcp", ADDRESS, each) for each in ports),
                ),
            )
        self.fleet.run_all(("hub", *sites))
        wait_for(lambda: self._are_ready(entries, exits), "all know all", timeout=60.0)

    def _are_ready(self, entries: Sequence[str], exits: set[str]) -> bool:
        statuses = [self.fleet.look(site) for site in entries]
        return all(
            status is not None
            and any({*each.served_at} == exits for each in status.addresses)
            and all(each.state == "open" for each in status.listeners)
            and all(each.channels for each in status.links)
            for status in statuses
        )

    async def _ask(self, request: int, arrival: Arrival) -> None:
        began = trio.current_time()
        try:
            with trio.fail_after(PATIENCE):
                stream = await trio.open_tcp_stream(LOOPBACK, self._ports[arrival.ingress])
                async with stream:
                    await stream.send_all(NUMBER.pack(request))
                    answer = await stream.receive_some(NUMBER.size)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError):
            answer = b""
        if len(answer) < NUMBER.size:
            self.failed.add(request)
            return
        self._delays[request] = trio.current_time() - began
        (self._by[request],) = NUMBER.unpack(answer)

    # -- what happens ----------------------------------------------------------------------

    async def _let_happen(self, begins: float) -> None:
        scenario, whole = self.setting.scenario, self.setting.duration
        for moment, backend, speed in scenario.changes:
            await trio.sleep_until(begins + moment * whole)
            self.backends[backend].change(speed)
        for backend, moment in scenario.joins.items():
            await trio.sleep_until(begins + moment * whole)
            await self._connect(backend, is_there=True)
        if self.name in {"kill", "drain"}:
            await trio.sleep_until(begins + whole / 2)
            self.happened = trio.current_time()
            if self.name == "kill":
                self.backends[VICTIM].die()
            else:
                await self._connect(VICTIM, is_there=False)

    async def _connect(self, backend: int, *, is_there: bool) -> None:
        """Expose a backend, or take it back."""
        target = f"{LOOPBACK}:{self.backends[backend].port}"
        spec = ConnectorSpec(str(ADDRESS), "tcp", target)
        method = "POST" if is_there else "DELETE"
        ask = partial(self.fleet.ask, self._site(backend), method, "/v1/connectors", spec)
        await trio.to_thread.run_sync(ask)


if __name__ == "__main__":
    main()
