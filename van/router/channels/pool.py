"""A pool of idle channels to one site that this site sends flows to.

Taking a channel from a pool costs no handshake and no round trip. A pool grows with demand, keeps
a few channels spare, and shrinks when it is idle. Where there is a second way to the site it keeps
one channel along that too, so that flows go on at once when the best path is lost. It is a reserve
and no spare: while the best path is well, a flow waits for a channel along that rather than take a
way that may be dearer, on which it would stay for as long as it lives.
"""

import math
from collections import deque
from collections.abc import Callable

import attrs
import trio

from van.errors import LinkLost, RemoteError, Unreachable
from van.router.channels.channel import Channel
from van.router.reactor.limits import Limits
from van.wire.channel import Kind
from van.wire.flow_protocol import receive_idle
from van.wire.flow_states import FlowRole
from van.wire.framing import Message


@attrs.frozen
class NextHops:
    """Where the paths to a site begin."""

    next_hop: str
    standby: str | None = None
    """The next hop of another path, if a channel is to be kept along it."""


IsBest = Callable[[tuple[str, ...]], bool]
"""Tells whether no other path between the same two sites costs less at present."""


@attrs.define(eq=False)
class _Waiter:
    channel: Channel | None = None
    failure: RemoteError | None = None
    ready: trio.Event = attrs.field(factory=trio.Event)


@attrs.define(eq=False)
class Pool:
    """Idle channels to one site; also their user, which expects no frames at all.

    In trio's thread only. A channel that was taken, by `take` or `acquire`, belongs to its taker,
    who makes itself its user, and gives it back with one call of `release`, also if it was lost. A
    task that is cancelled while it waits in `acquire` has none. The pool makes no channels: it says
    what it is short of, and `Pools` fills it.
    """

    site: str
    limits: Limits
    is_best_path: IsBest
    minimum: int = 0
    epoch: int = 0
    """Counts our certificates: a channel made with an older one is not used again."""
    in_use: int = 0
    growing: int = 0
    queued: int = 0
    """Of those that grow, how many have yet to get a turn because no flow waits for them."""
    probing: int = 0
    """Of those that grow, how many only look whether the best path is well again."""
    made_at: float = -math.inf
    """When a channel along the best path was made last."""
    retry_delay: float = 0.0
    """Seconds that the filler rested after the last failure; 0 after a success."""
    is_resting: bool = False
    """Whether channels are made only for flows that wait, because the last attempt failed."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Around the task that fills the pool."""
    hops: NextHops | None = None
    """Where the paths to the site begin, if that is known."""
    is_cut_off: bool = False
    """Whether no path leads to the site any more."""
    is_path_well: bool = True
    """Whether nothing speaks against the best path: the last attempt to make a channel along it did
    not fail, and nor were the last idle ones along it lost."""
    is_growing_standby: bool = False
    _standby: Channel | None = None
    """An idle channel along the other path."""
    _idle: list[Channel] = attrs.field(factory=list)
    _waiting: deque[_Waiter] = attrs.field(factory=deque)
    _short: trio.Event = attrs.field(factory=trio.Event)

    @property
    def size(self) -> int:
        """Return how many idle channels are ready."""
        return len(self._idle)

    @property
    def next_hop(self) -> str | None:
        """Return where the best path to the site begins, if that is known."""
        return None if self.hops is None else self.hops.next_hop

    @property
    def spares(self) -> int:
        """Return how many idle channels should be ready."""
        return max(self.minimum, min(self.in_use // 4, self.limits.max_spares))

    @property
    def is_waited_for(self) -> bool:
        """Tell whether a flow waits for a channel."""
        return bool(self._waiting)

    @property
    def shortage(self) -> int:
        """Return how many more channels should be made now."""
        if self._waiting:  # those that have yet to get a turn are no help to it
            growing, wanted = self._growing_for_flows, len(self._waiting)
        elif not self.is_resting:
            growing, wanted = self.growing, self.spares - self.size
        else:
            return 0
        return max(0, min(wanted, self._may_grow) - growing)

    @property
    def _may_grow(self) -> int:
        """Return how many channels may be made at one time: few at first, and more the more there
        are. When a path is new, the first channel is there sooner if it need not share the
        processors of every site on the path with others; then it may well be enough."""
        return min(self.limits.max_growing, max(self.limits.min_growing, self.size + self.in_use))

    @property
    def is_growing_too_fast(self) -> bool:
        """Tell whether more channels have their turn than may be made at one time: one that waited
        for it may be late, for flows that wait had others made meanwhile."""
        return self._growing_for_flows > self._may_grow

    @property
    def _growing_for_flows(self) -> int:
        """Return how many are being made that a flow that waits can have."""
        return self.growing - self.queued - self.probing

    @property
    def needs_standby(self) -> bool:
        """Tell whether a channel along the other path should be made now."""
        return (
            self.hops is not None
            and self.hops.standby is not None
            and self._standby is None
            and not self.is_growing_standby
            and not self._waiting
            and (self.size >= self.minimum or not self.is_path_well)
        )

    @property
    def is_wanted(self) -> bool:
        """Tell whether anything still needs this pool."""
        return bool(self.minimum or self.in_use or self.growing or self._waiting or self._idle)

    def take(self) -> Channel | None:
        """Return a ready channel at once, or None. It must be given back with `release`."""
        while (channel := self._pop()) is not None:
            if channel.is_open:
                self.in_use += 1
                break
        self.check()
        return channel

    def _pop(self) -> Channel | None:
        if self._idle:
            channel = self._idle.pop()
            self._lost_last(channel)
            return channel
        if self.is_path_well:
            return None
        standby, self._standby = self._standby, None
        return standby

    def _lost_last(self, channel: Channel) -> None:
        """Take note when the last idle channel along the best path was lost, not taken."""
        if not channel.is_open and not self._idle:
            self.is_path_well = False

    async def acquire(self, patience: float = math.inf) -> Channel:
        """Return a channel, made if need be; `patience` is for how many seconds to wait while none
        is made along the best path for anybody.

        Raises `LinkLost` when the path was lost meanwhile, and may be another one by now, and
        `Unreachable` when no channel can be made for any other reason.
        """
        if (channel := self.take()) is not None:
            return channel
        began = trio.current_time()
        while (until := self._waits_until(began, patience)) > trio.current_time():
            with trio.move_on_at(until):
                channel = self.take() or await self._wait()
                if channel.is_open:
                    return channel
                self.release(channel)  # it was lost before this task had its turn
        raise Unreachable(f"no channel to site {self.site!r} in time")

    def _waits_until(self, began: float, patience: float) -> float:
        return min(began + self.limits.acquire_timeout, max(began, self.made_at) + patience)

    async def _wait(self) -> Channel:
        """Return the channel that is made next for a task that waits; raise as `acquire` does."""
        waiter = _Waiter()
        self._waiting.append(waiter)
        self.check()
        try:
            await waiter.ready.wait()
        except trio.Cancelled:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.channel is not None:  # it was given one after it was cancelled
                self.release(waiter.channel)
            raise
        if waiter.failure is not None:
            raise waiter.failure
        assert waiter.channel is not None
        return waiter.channel

    def add(self, channel: Channel, *, next_hop: str | None) -> bool:
        """Take in a channel that was made along the best path; tell whether to begin a rest.

        That is so when sites on the way have led it along a dearer one, as they do for as long as
        they do not know what is known here, and when that path fails, and another one was taken: a
        flow that waits gets it, but it is not kept. `next_hop` is where the best path began when
        the channel was; if it is another one by now, nothing is known of that yet.
        """
        is_outdated = next_hop != self.next_hop
        is_new = self.hops is None or channel.neighbor == self.hops.next_hop
        if is_new:
            self.made_at = trio.current_time()
        elif not self._idle and not is_outdated:
            self.is_path_well = False
        self.give(channel, is_new=is_new)
        return not is_outdated and not self._is_best(channel) and self.rest()

    def give(self, channel: Channel, *, is_new: bool = False) -> None:
        """Take in a channel that is clean. A new one, just made along the best path, is what a flow
        that waits can have, though it may have been led along a dearer one."""
        channel.hand_to(self)
        channel.resume()
        if channel.epoch != self.epoch:
            channel.close()
        if not channel.is_open:
            return
        is_best = self._is_best(channel)
        if is_best:
            self.retry_delay = 0.0
            self.is_path_well = True
        if self._waiting and (is_best or is_new or not self.is_path_well):
            waiter = self._waiting.popleft()
            self.in_use += 1
            waiter.channel = channel
            waiter.ready.set()
            return
        channel.became_idle = trio.current_time()
        self._put(channel)

    def is_current(self, channel: Channel) -> bool:
        """Tell whether a channel that is in use is as good as a new one: it runs along the best
        path, and was made with the certificate that is in force."""
        return not self.is_cut_off and channel.epoch == self.epoch and self._is_best(channel)

    def may_use(self, channel: Channel) -> bool:
        """Tell whether new flows may go on a channel that is in use: not along a dear path, while
        the best one is well, and never by a certificate that is not in force any more, which may
        have run out, or allow something else."""
        is_path_right = self._is_best(channel) or not self.is_path_well
        return is_path_right and channel.epoch == self.epoch

    def _is_best(self, channel: Channel) -> bool:
        """Tell whether a channel runs along the best path, as far as that is known: all of it, for
        behind the same neighbour a dear way may have been taken while another one was lost."""
        if self.hops is None:
            return True
        return channel.neighbor == self.hops.next_hop and (
            not channel.path or self.is_best_path(channel.path)
        )

    def _put(self, channel: Channel) -> None:
        """Keep an idle channel if it runs along a path that is wanted, or close it."""
        if self.is_cut_off:
            channel.close()  # or whoever passes it on would hold it for nothing
        elif self._is_best(channel):
            self._idle.append(channel)
        elif self.hops and channel.neighbor == self.hops.standby and self._standby is None:
            self._standby = channel
        else:
            channel.close()

    def release(self, channel: Channel, *, is_clean: bool = True) -> None:
        """Give back a channel that was taken, or report that it is used up."""
        self.in_use -= 1
        if not is_clean:
            channel.close()
        elif channel.is_open:
            self.give(channel)
        self.check()

    def fail(self, reason: str, *, next_hop: str | None = None, is_path_lost: bool = False) -> bool:
        """Tell all who wait that no channel can be made now; tell whether to begin a rest.

        `next_hop` is as in `add`: they wait on when the best path is another one by now.
        """
        if next_hop is not None and self.next_hop not in {None, next_hop}:
            return False
        self.is_path_well = False
        while self._waiting:
            waiter = self._waiting.popleft()
            waiter.failure = LinkLost(reason) if is_path_lost else Unreachable(reason)
            waiter.ready.set()
        return self.rest()

    def distrust(self, neighbor: str) -> None:
        """Use no idle channel over a neighbour any more: one of them has led nowhere."""
        for channel in self._take_idle():
            if channel.neighbor == neighbor:
                channel.close()
            elif channel.is_open:
                self._put(channel)
        if self.hops is not None and self.hops.next_hop == neighbor:
            self.is_path_well = False
        self.check()

    def rest(self) -> bool:
        """Make channels only for flows that wait, for a while; tell whether that begins now."""
        was_resting, self.is_resting = self.is_resting, True
        return not was_resting

    def drop_idle(self) -> None:
        """Close the idle channels."""
        for channel in self._take_idle():
            channel.close()
        self.check()

    def reroute(self, hops: NextHops | None) -> None:
        """Sort the idle channels by the paths to the site as they are now; with no path to it, all
        are closed."""
        if hops is None or self.hops is None or hops.next_hop != self.hops.next_hop:
            self.is_path_well = True
        self.hops, self.is_cut_off = hops, hops is None
        for channel in self._take_idle():
            if channel.is_open:
                self._put(channel)
        self.check()

    def _take_idle(self) -> list[Channel]:
        channels = self._idle if self._standby is None else [*self._idle, self._standby]
        self._idle, self._standby = [], None
        return channels

    def trim(self, now: float) -> None:
        """Close channels that have been idle for long, the longest idle first."""
        while (
            self.size > self.spares and now - self._idle[0].became_idle > self.limits.idle_lifetime
        ):
            self._idle.pop(0).close()

    def check(self) -> None:
        """Wake the filler when there is something to make."""
        if self.shortage or self.needs_standby:
            self._short.set()

    async def short(self) -> None:
        """Wait until there is a shortage."""
        while not self.shortage and not self.needs_standby:
            self._short = trio.Event()
            await self._short.wait()

    # -- the user of idle channels -------------------------------------------------------------

    def receive_data(self, data: memoryview) -> None:
        """Refuse bytes: an idle channel carries none toward its ingress."""
        receive_idle(FlowRole.INGRESS, Kind.DATA)

    def receive_datagram(self, data: memoryview) -> None:
        """Refuse a datagram: an idle channel carries none toward its ingress."""
        receive_idle(FlowRole.INGRESS, Kind.DATAGRAM)

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Refuse frames: an idle channel carries none toward its ingress."""
        receive_idle(FlowRole.INGRESS, kind)

    def channel_writable(self) -> None:
        """Do nothing: an idle channel has sent everything that matters."""

    def channel_lost(self, reason: str) -> None:
        """Forget channels that have closed."""
        if self._idle:
            last = self._idle[-1]
            self._idle = [channel for channel in self._idle if channel.is_open]
            self._lost_last(last)
        if self._standby is not None and not self._standby.is_open:
            self._standby = None
        self.check()
