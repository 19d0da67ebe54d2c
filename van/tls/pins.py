"""Whose a name is: the key that was first seen for it, until an authority says otherwise.

Any authority can give a certificate of any name that it may give, to any key. So what a chain
proves is that somebody lets a key have a name, not that the name was free: that each site
remembers.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import attrs

from van.errors import NameTaken
from van.tls.expulsion_list import ExpulsionList
from van.tls.identity import IssuingAuthority, SiteIdentity

MAX_PINS: Final = 65536
"""Names whose keys are remembered: 4 to 12 MB on disk when full. What is beyond that is judged by
how near to the root it is and since when it is there; nothing makes way, for whoever may invite
could else have the others forgotten by making up names."""


@attrs.frozen
class Pin:
    """The key that a name belongs to."""

    site: str
    key: str
    """Hexadecimal SHA-256."""
    authorities: tuple[IssuingAuthority, ...]
    """What its certificate rested on when it was last shown: who may say that it is lost."""
    since: datetime
    """When it was first seen here."""
    seen: datetime
    """When it was last there."""
    held_level: int | None = None
    """How far below the root the authority is that it holds; None if it holds none there."""


class Pins:
    """Remembers one key for each name; a key that is out has no name any more."""

    def __init__(self, expulsions: ExpulsionList) -> None:
        self._expulsions = expulsions
        self._pins: dict[str, Pin] = {}

    def __len__(self) -> int:
        return len(self._pins)

    def __iter__(self) -> Iterator[Pin]:
        return iter(self._pins.values())

    def restore(self, pins: Iterable[Pin]) -> None:
        """Take in what was kept."""
        self._pins = {each.site: each for each in pins}

    def get(self, site: str) -> Pin | None:
        """Return whose a name is, or was until its key was put out."""
        return self._pins.get(site)

    def holder(self, site: str) -> Pin | None:
        """Return whose a name is, or None if it is free."""
        pin = self._pins.get(site)
        if pin is None or self._expulsions.find_above(pin.key, pin.authorities) is not None:
            return None
        return pin

    def check(self, identity: SiteIdentity) -> None:
        """Raise `NameTaken` if a name is that of another key."""
        pin = self._pins.get(identity.site)
        if pin is None or pin.key == identity.public_key_fingerprint:
            return
        if self.holder(identity.site) is not None:
            raise name_taken(identity.site, f"was first seen here on {pin.since:%F %TZ}")

    def saw(self, identity: SiteIdentity, *, at: datetime) -> Pin | None:
        """Remember whose a name is, from a site that has proved to hold its key.

        Returns the pin of another key in whose place it is, if there was one. A site whose
        certificate is ephemeral leaves its name behind when it goes, so that is not remembered.
        """
        before = self._pins.get(identity.site)
        key = identity.public_key_fingerprint
        is_new = before is None or before.key != key
        if is_new and identity.grants.is_ephemeral:
            return self._pins.pop(identity.site, None)
        if before is None and len(self._pins) >= MAX_PINS:
            return None
        since = at if is_new or before is None else before.since
        self._pins[identity.site] = Pin(
            identity.site, key, identity.authorities, since, at, identity.held_level
        )
        return before if is_new else None

    def release(self, site: str, key: str) -> bool:
        """Forget whose a name is if it is that of a key, and tell whether it was."""
        pin = self._pins.get(site)
        if pin is None or pin.key != key:
            return False
        del self._pins[site]
        return True

    def saw_last(self, site: str, *, at: datetime) -> None:
        """Take note that a site was there until now."""
        pin = self._pins.get(site)
        if pin is not None:
            self._pins[site] = attrs.evolve(pin, seen=at)


def name_taken(site: str, why: str) -> NameTaken:
    """Return the error of a name that is another key's; the text is for either end."""
    error = NameTaken(
        f"site name {site!r} is that of another key, which {why}: make a site of another name, or, "
        f"if that key is lost, free the name with 'van site forget {site}' at the site that made "
        "the VAN"
    )
    error.site = site
    return error
