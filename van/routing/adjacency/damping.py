"""Damping of links that flap, in the manner of RFC 2439.

Each loss of a link adds to its penalty, which decays by half in a fixed time. Above one threshold
the link may be up, but it is not advertised and not used, until the penalty has fallen below
another. A link that is lost now and then is never damped; one that comes and goes every second is
taken out of the network within a few seconds, and the network need not hear of it again and again.
"""

import math

import attrs

HALF_LIFE = 5.0
"""Seconds: a link that is lost no more often than every two seconds stays below the threshold."""
SUPPRESS_ABOVE = 4.5
REUSE_BELOW = 2.0
MAX_PENALTY = 16.0
"""Three half-lives above what is forgiven: a link that was ever so bad is used again after 15 s."""
FORGET_BELOW = 0.1
"""A penalty this small is not worth remembering."""
TOLERANCE = 1e-3
"""Seconds by which a link may be used again too early: far more than a timer's time is rounded by,
as whoever is told when to ask does not ask twice."""


@attrs.define
class Penalty:
    """What a link's past weighs."""

    _value: float = 0.0
    _at: float = 0.0
    is_suppressed: bool = False
    """Whether the link is not to be used."""

    def at(self, now: float) -> float:
        """Return the penalty at a time not before the last loss."""
        return self._value * math.pow(0.5, max(0.0, now - self._at) / HALF_LIFE)

    def lost(self, now: float) -> bool:
        """Take note that the link was lost; tell whether that is why it is suppressed now."""
        self._value = min(MAX_PENALTY, self.at(now) + 1.0)
        self._at = now
        was_suppressed = self.is_suppressed
        self.is_suppressed = was_suppressed or self._value > SUPPRESS_ABOVE
        return self.is_suppressed and not was_suppressed

    def reuse_in(self, now: float) -> float:
        """Return after how many seconds without another loss the link is to be used again."""
        excess = self.at(now) / REUSE_BELOW
        return HALF_LIFE * math.log2(excess) if excess > 1.0 else 0.0

    def release(self, now: float) -> bool:
        """Let the link be used again if its penalty has fallen far enough, and say so."""
        if not self.is_suppressed or self.reuse_in(now) > TOLERANCE:
            return False
        self.is_suppressed = False
        return True

    def is_forgotten(self, now: float) -> bool:
        """Tell whether the past of the link does not matter any more."""
        return not self.is_suppressed and self.at(now) < FORGET_BELOW
