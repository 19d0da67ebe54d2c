"""The clients of all listeners of HTTP, and how long they may be silent."""

from van.router.ingress.http_session import HttpSession
from van.router.ingress.listener import Listener
from van.router.reactor.loop import EventLoop

LOOK_INTERVAL = 1.0
"""Seconds between two looks at who is silent."""


class HttpSessions:
    """Holds the sessions. In the event loop's thread."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._sessions: dict[HttpSession, Listener] = {}
        self._is_looking = False

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, session: HttpSession, listener: Listener) -> None:
        """Keep a client's session until `remove`."""
        self._sessions[session] = listener
        self._look_later()

    def remove(self, session: HttpSession) -> None:
        """Forget a session that is over."""
        self._sessions.pop(session, None)

    def drain(self, listener: Listener) -> None:
        """Let the clients of a listener go with the answers that they have yet to get."""
        for session, its in list(self._sessions.items()):
            if its is listener:
                session.drain()

    def close(self) -> None:
        """Break all off."""
        for session in list(self._sessions):
            session.close()

    def _look_later(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_later(LOOK_INTERVAL, self._look)

    def _look(self) -> None:
        self._is_looking = False
        now = self._loop.clock()
        for session in list(self._sessions):
            session.check(now)
        if self._sessions:
            self._look_later()
