"""Connections to targets of HTTP that are idle, and wait for the next exchange.

The fault that is reported most of proxies is the race at the end of an idle connection: the target
closes it just as a request goes out. So a connection is given up well before the target would (RFC
9112, section 9.3.1), is looked at before it is used, and takes only requests that may be repeated.
"""

import socket
from collections import deque
from typing import TYPE_CHECKING, Final

from van.http.h1.target_connection import TargetConnection
from van.router.egress.instance import Instance
from van.router.reactor.loop import EventLoop
from van.router.reactor.poller import READ

if TYPE_CHECKING:
    from van.router.reactor.watch import Watch

IDLE_TIME: Final = 4.0
"""Seconds for which a connection is kept: servers that say nothing close theirs after five or more
(Node.js 5, Apache 5, nginx 75)."""
MARGIN: Final = 1.0
"""Seconds by which it is given up before the target would, if that says when."""
MAX_IDLE: Final = 256
"""Idle connections to one instance."""
LOOK_INTERVAL: Final = 0.5
"""Seconds between two looks at what has been idle for too long."""


class TargetSocket:
    """A connection to a target of HTTP, with the parser that belongs to it."""

    __slots__ = ("http", "idle_until", "instance", "is_reused", "sock", "watch")

    def __init__(self, loop: EventLoop, instance: Instance, sock: socket.socket) -> None:
        self.instance = instance
        self.sock = sock
        self.http = TargetConnection()
        self.is_reused = False
        """Whether it has carried an exchange before."""
        self.idle_until = 0.0
        self.watch: Watch[EventLoop] = loop.watch(sock.fileno(), None, _not_yet, _leave)

    def close(self) -> None:
        """Close it, in order."""
        self.watch.close(is_last=True)
        self.watch.forget()
        self.sock.close()


class TargetPool:
    """The idle connections of all instances. In the event loop's thread."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._idle: dict[Instance, deque[TargetSocket]] = {}
        self._patience: dict[Instance, float] = {}
        """For how long a target was seen to keep a connection, where that is shorter than
        `IDLE_TIME`."""
        self._is_looking = False

    def __len__(self) -> int:
        return sum(map(len, self._idle.values()))

    def take(self, instance: Instance) -> TargetSocket | None:
        """Return the connection to an instance that was used last, if there is one that lives."""
        idle = self._idle.get(instance)
        while idle:
            target = idle.pop()
            if _is_quiet(target.sock):
                target.is_reused = True
                return target
            target.close()
        return None

    def give(self, target: TargetSocket) -> None:
        """Keep a connection for the next exchange."""
        instance = target.instance
        idle = self._idle.setdefault(instance, deque())
        if len(idle) >= MAX_IDLE:
            idle.popleft().close()
        target.idle_until = self._loop.clock() + self._time_for(target)
        target.watch.handler = lambda _: self._spoke(target)
        target.watch.fail = lambda _: self._spoke(target)
        target.watch.set(READ)
        idle.append(target)
        self._look_later()

    def close(self) -> None:
        """Close all."""
        for idle in self._idle.values():
            for target in idle:
                target.close()
        self._idle.clear()

    def _time_for(self, target: TargetSocket) -> float:
        time = self._patience.get(target.instance, IDLE_TIME)
        told = target.http.idle_timeout
        return time if told is None else min(time, max(0.0, told - MARGIN))

    def _spoke(self, target: TargetSocket) -> None:
        """Give a connection up that the target has closed, or speaks on unasked."""
        idle = self._idle.get(target.instance)
        if idle is None or target not in idle:
            return
        idle.remove(target)
        kept = self._loop.clock() - (target.idle_until - self._time_for(target))
        if kept < IDLE_TIME:  # the next one is given up before the target does
            self._patience[target.instance] = max(0.0, kept / 2)
        target.close()

    def _look_later(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_later(LOOK_INTERVAL, self._look)

    def _look(self) -> None:
        self._is_looking = False
        now = self._loop.clock()
        for instance, idle in list(self._idle.items()):
            while idle and idle[0].idle_until <= now:
                idle.popleft().close()
            if not idle:
                del self._idle[instance]
                if instance not in instance.connector.instances:
                    self._patience.pop(instance, None)
        if self._idle:
            self._look_later()


def _is_quiet(sock: socket.socket) -> bool:
    """Tell whether nothing has come, the end included."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _not_yet(_mask: int) -> None:
    """Handle nothing: nobody watches it yet."""


def _leave(_reason: str) -> None:
    """Leave it to whoever has it."""
