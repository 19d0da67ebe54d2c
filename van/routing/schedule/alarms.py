"""What wakes the engine."""

import enum

from van.routing.schedule.timers import AlarmQueue


class Alarm(enum.Enum):
    """What is to be done at a time; the first three are each of one neighbour."""

    HEARTBEAT = enum.auto()
    SILENCE = enum.auto()
    REUSE = enum.auto()
    """A link that flapped may be used again."""
    REFRESH = enum.auto()
    SUMMARY = enum.auto()
    SWEEP = enum.auto()
    PACED = enum.auto()
    """Something that was requested before its pace allowed it."""


Alarms = AlarmQueue[tuple[Alarm, str]]
