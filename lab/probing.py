"""Clients and a server, in trio, that show when new flows are served and when live ones end."""

import secrets
import time
from typing import Final

import attrs
import trio

TAG_SIZE: Final = 8
CHUNK: Final = 65536
TICK: Final = 0.01
"""Seconds between the bytes of a live flow."""
ATTEMPT_TIMEOUT: Final = 3.0
PROMPT: Final = 0.1
WARM_UP: Final = 1.0
"""Seconds during which new flows begin more slowly: at full pace at once, they would measure how
pools of channels grow."""
WARM_UP_PAUSE: Final = 0.05
STEADY: Final = 0.5
"""Seconds over which flows must be served promptly before a fault is injected."""
STALE: Final = 0.5
"""Seconds after which a new flow that got no byte counts as one that was not served."""


@attrs.frozen
class End:
    """How one end of a flow learned of its end."""

    at: float
    is_reset: bool
    """Whether it was a reset, and not the orderly end that a complete flow has."""


async def end_of(stream: trio.SocketStream) -> End:
    """Read until the stream ends, and return how it did."""
    try:
        while await stream.receive_some(CHUNK):
            pass
    except trio.BrokenResourceError:
        return End(time.monotonic(), is_reset=True)
    return End(time.monotonic(), is_reset=False)


@attrs.define(eq=False)
class EchoServer:
    """Sends back what comes, and remembers how each flow ended, by its first bytes."""

    port: int = 0
    ends: dict[bytes, End] = attrs.field(factory=dict)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve on a free port of loopback until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    async def _serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            tag = b""
            is_reset = False
            try:
                while data := await stream.receive_some(CHUNK):
                    tag = (tag + data)[:TAG_SIZE]
                    await stream.send_all(data)
            except trio.BrokenResourceError:
                is_reset = True
            self.ends[tag] = End(time.monotonic(), is_reset)


@attrs.define(eq=False)
class LiveFlow:
    """A flow that exchanges a byte again and again, until it ends."""

    port: int
    end: End | None = None
    tag: bytes = attrs.field(factory=lambda: secrets.token_bytes(TAG_SIZE))

    async def run(self, *, size: int = 0, task_status: trio.TaskStatus[None]) -> None:
        """Open the flow and exchange so many bytes; started means that they have come back.

        Returns when the flow has ended.
        """
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            await exchange(stream, self.tag + bytes(size))
            task_status.started()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tick, stream)
                end = await end_of(stream)
                # The system reports a reset once: to the writer or to the reader.
                self.end = self.end or end
                nursery.cancel_scope.cancel()

    async def _tick(self, stream: trio.SocketStream) -> None:
        try:
            while True:
                await stream.send_all(b".")
                await trio.sleep(TICK)
        except trio.BrokenResourceError:
            self.end = End(time.monotonic(), is_reset=True)


async def exchange(stream: trio.SocketStream, payload: bytes) -> None:
    """Send bytes through a flow and see as many come back."""
    missing = len(payload)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, payload)
        while missing > 0:
            data = await stream.receive_some(CHUNK)
            assert data, "the flow ended early"
            missing -= len(data)


async def is_served(port: int) -> bool:
    """Begin a flow, and tell whether a byte comes back."""
    try:
        with trio.fail_after(ATTEMPT_TIMEOUT):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(secrets.token_bytes(TAG_SIZE))
                return bool(await stream.receive_some(CHUNK))
    except (OSError, trio.BrokenResourceError, trio.TooSlowError):
        return False


@attrs.define(eq=False)
class Attempt:
    """A new flow: when the client began, and when it got its first byte."""

    began: float
    served: float | None = None
    is_failed: bool = False

    def is_served_within(self, limit: float) -> bool:
        """Tell whether the first byte came within so many seconds."""
        return self.served is not None and self.served - self.began <= limit

    def is_failure(self) -> bool:
        """Tell whether it failed, or has waited for so long that a person would say so."""
        is_late = self.served is None and time.monotonic() - self.began > STALE
        return self.is_failed or is_late


@attrs.define(eq=False)
class Prober:
    """Begins a new flow every few milliseconds, whatever has become of those before."""

    port: int
    pause: float
    attempts: list[Attempt] = attrs.field(factory=list)

    async def run(self) -> None:
        """Begin flows until cancelled."""
        warm_at = time.monotonic() + WARM_UP
        async with trio.open_nursery() as nursery:
            while True:
                attempt = Attempt(time.monotonic())
                self.attempts.append(attempt)
                nursery.start_soon(self._try, attempt)
                is_warm = attempt.began >= warm_at
                await trio.sleep(self.pause if is_warm else max(self.pause, WARM_UP_PAUSE))

    async def _try(self, attempt: Attempt) -> None:
        if await is_served(self.port):
            attempt.served = time.monotonic()
        else:
            attempt.is_failed = True

    async def steady(self) -> None:
        """Wait until flows are served as fast as they begin."""
        await trio.sleep(WARM_UP)
        while True:
            began = time.monotonic()
            await trio.sleep(STEADY)
            mine = [each for each in self.attempts if began <= each.began < began + STEADY / 2]
            if mine and all(each.is_served_within(PROMPT) for each in mine):
                return

    def failures(self, since: float) -> int:
        """Return how many flows that began after a moment were not served in time."""
        return sum(each.is_failure() for each in self.attempts if each.began >= since)

    def first_served(self, since: float) -> float | None:
        """Return when a flow that began after a moment was the first to get a byte."""
        served = [each.served for each in self.attempts if each.began >= since and each.served]
        return min(served, default=None)

    def served_for_good(self, since: float) -> float | None:
        """Return when a flow got its first byte after whose beginning no other one failed.

        None when the last that is old enough to be judged has failed.
        """
        first = None
        for attempt in reversed(self.attempts):
            if attempt.began < since or attempt.is_failure():
                break
            first = attempt.served or first
        return first
