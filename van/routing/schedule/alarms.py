"""What wakes the engine."""

import enum

from van.routing.schedule.timers import AlarmQueue


class Alarm(enum.IntEnum):
    """What is to be done at a time; the first three are each of one neighbour.

    Integers, whose hash is that of a number: each heartbeat sets and looks up several.
    """

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
