"""Which UDP sessions of a port are over, and which make way for new ones. No I/O.

UDP has no end that could be seen. So a session is judged by what it has been: a question and its
answer are most probably all there is to come, as with a name server's clients, of which each new
one has a port of its own; a client that has gone on after an answer is in a conversation.
"""

from collections import OrderedDict
from typing import Final, Protocol

import attrs

from van.router.reactor.limits import Limits

ASKING: Final = 0
"""Nothing has been answered yet, or not all; some programs only send."""
ANSWERED: Final = 1
"""Every question has its answer, and the client has said nothing since."""
CONVERSING: Final = 2
"""The client went on after an answer, or there were more answers than questions."""


class Ageing(Protocol):
    """What has been quiet since some time, and will be something else with the next datagram."""

    last_active: float
    stage: int

    def end(self) -> None:
        """Be over, and leave the others of its age."""


@attrs.define
class Count:
    """How many sessions a site has at all of its ports."""

    sessions: int = 0

    def __len__(self) -> int:
        return self.sessions


class Ages:
    """The live sessions of one port by stage, those that have been quiet the longest first.

    They tell the time by `now`, and so no more exactly than it is kept; of those that were active
    within one tick of it, the order is that of their first.
    """

    def __init__(self, idle: float, limits: Limits, count: Count) -> None:
        self.idle = idle
        """For how many seconds a session without traffic stays that may be needed again."""
        self.now = 0.0
        """What last activity is told by; kept by the owner with each new session and each look."""
        self._count = count
        self._answered_idle = limits.answered_idle
        self._rests = (limits.answer_timeout, 0.0, limits.min_session_idle)
        """For how long one of each stage has been quiet before it makes way."""
        self._queues = tuple(OrderedDict[Ageing, None]() for _ in self._rests)

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(map(len, self._queues))

    @property
    def shortest(self) -> float:
        """Return for how many seconds some sessions stay."""
        return min(self.idle, self._answered_idle)

    def add(self, session: Ageing) -> None:
        """Take in a session; each call is paired with one of `remove`."""
        self._queues[session.stage][session] = None
        self._count.sessions += 1

    def remove(self, session: Ageing) -> None:
        """Forget a session."""
        del self._queues[session.stage][session]
        self._count.sessions -= 1

    def was_active(self, session: Ageing, stage: int, now: float) -> None:
        """Take note of a datagram to or from a session, and of what that makes of it."""
        session.last_active = now
        if stage == session.stage:
            self._queues[stage].move_to_end(session)
        else:
            del self._queues[session.stage][session]
            session.stage = stage
            self._queues[stage][session] = None

    def expired(self, now: float) -> list[Ageing]:
        """Return the sessions that have been quiet for too long."""
        found = []
        lifetimes = (self.idle, self.shortest, self.idle)
        for queue, lifetime in zip(self._queues, lifetimes, strict=True):
            for session in queue:
                if session.last_active > now - lifetime:
                    break
                found.append(session)
        return found

    def next_to_go(self, now: float) -> Ageing | None:
        """Return the session that can be done without, or None: one that is answered, or else the
        one that has been quiet for the longest, unless it may be about to go on."""
        for stage in (ANSWERED, ASKING, CONVERSING):
            session = next(iter(self._queues[stage]), None)
            if session is not None and session.last_active <= now - self._rests[stage]:
                return session
        return None
