"""What is said of a part of the configuration that is asked for again."""

from enum import Enum
from typing import Final

import attrs

ALREADY: Final = "already"
"""Said of what is as it is asked to be before anything is done."""

OPEN_WHEN_EMPTY: Final = frozenset({"allow_from"})
"""Fields that, empty, leave nobody out; to call that "none" would say the opposite."""


def describe_changes(before: attrs.AttrsInstance, after: attrs.AttrsInstance) -> str:
    """Say in which fields two values of a class differ: `changed: weight is 3, was 1`."""
    names = (field.name for field in attrs.fields(type(before)))
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in names)
    found = (
        f"{name.replace('_', '-')} is {_word(name, is_now)}, was {_word(name, was)}"
        for name, was, is_now in pairs
        if was != is_now
    )
    return f"changed: {'; '.join(found)}"


def _word(name: str, value: object) -> str:
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g} s"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or ("everybody" if name in OPEN_WHEN_EMPTY else "none")
    return "none" if value is None else str(value)
