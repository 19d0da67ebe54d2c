"""When routes are computed: the back-off automaton of RFC 8405.

The first change after a quiet time acts at once. More that follow are taken together after a short
delay, so that all advertisements of one failure are in; and if changes do not end, computations
become rare, so that a network in trouble is not burdened more.
"""

import enum
import math

import attrs


class State(enum.Enum):
    """What the recent past was like."""

    QUIET = enum.auto()
    SHORT_WAIT = enum.auto()
    """Changes have begun: they are probably of one failure."""
    LONG_WAIT = enum.auto()
    """Changes go on for longer than one failure explains."""


class Event(enum.Enum):
    """What happens to the automaton."""

    CHANGE = enum.auto()
    """Routes have to be computed anew."""
    LEARNED = enum.auto()
    """The time in which one failure makes itself known is over."""
    CALMED = enum.auto()
    """There was no change for the hold-down time."""


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.QUIET: {
        Event.CHANGE: State.SHORT_WAIT,
        Event.LEARNED: State.QUIET,
        Event.CALMED: State.QUIET,
    },
    State.SHORT_WAIT: {
        Event.CHANGE: State.SHORT_WAIT,
        Event.LEARNED: State.LONG_WAIT,
        Event.CALMED: State.QUIET,
    },
    State.LONG_WAIT: {
        Event.CHANGE: State.LONG_WAIT,
        Event.LEARNED: State.LONG_WAIT,
        Event.CALMED: State.QUIET,
    },
}


@attrs.frozen
class Delays:
    """The parameters of RFC 8405, in seconds, named as there."""

    initial: float = 0.0
    short: float = 0.05
    """A computation for a thousand sites takes some ten milliseconds."""
    long: float = 0.2
    """Much below the five seconds of routers with a hundred thousand prefixes: a computation for a
    thousand sites every 0.2 s is a tenth of a core."""
    time_to_learn: float = 0.5
    """Half a second after the first news of a failure, its other witnesses have been heard."""
    hold_down: float = 2.0

    def of(self, state: State) -> float:
        """Return how long a computation is put off in a state."""
        return {
            State.QUIET: self.initial,
            State.SHORT_WAIT: self.short,
            State.LONG_WAIT: self.long,
        }[state]


class Backoff:
    """Says when to compute; it has no timers, but takes note of times that have passed."""

    def __init__(self, delays: Delays) -> None:
        self.state = State.QUIET
        self._delays = delays
        self._compute_at = math.inf
        self._learned_at = math.inf
        self._calm_at = math.inf

    def change(self, now: float) -> None:
        """Ask for a computation, because something has changed."""
        self._let_time_pass(now)
        if self._compute_at == math.inf:
            self._compute_at = now + self._delays.of(self.state)
        if self.state is State.QUIET:
            self._learned_at = now + self._delays.time_to_learn
        self._calm_at = now + self._delays.hold_down
        self._receive(Event.CHANGE)

    def take(self, now: float) -> bool:
        """Tell whether to compute now; a true answer takes the request away."""
        if now < self._compute_at:
            return False
        self._compute_at = math.inf
        return True

    def done(self) -> None:
        """Take the request away: what was asked for has been done for another reason."""
        self._compute_at = math.inf

    def due_at(self) -> float:
        """Return when to compute, or infinity if nobody asked."""
        return self._compute_at

    def _let_time_pass(self, now: float) -> None:
        if now >= self._calm_at:
            self._receive(Event.CALMED)
        elif now >= self._learned_at:
            self._receive(Event.LEARNED)

    def _receive(self, event: Event) -> None:
        self.state = TRANSITIONS[self.state][event]
