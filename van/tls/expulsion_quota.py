"""How many statements of who is out are kept, by who signed them: no authority can fill everybody's
disks, nor keep those above it from being heard."""

from collections import Counter
from typing import Final

from van.tls.expulsion import Verified
from van.tls.identity import IssuingAuthority
from van.wire.expulsion import MAX_EXPULSIONS

MAX_OF_AUTHORITY: Final = 1024
"""Statements that count of one authority below the root."""
MAX_BELOW: Final = 1024
"""Those of all authorities below one: it may make any number of these. They are not counted as its
own, or they could keep it from expelling them."""
MAX_BELOW_GRANTED: Final = 4096
"""Likewise below one that is second to the root, which the whole VAN may rest on: more than one
below it and all that this has made can use up."""
MAX_BELOW_ROOT: Final = MAX_EXPULSIONS - 1024
"""Of all together, so that the root is heard whatever the others say."""


class ExpulsionQuota:
    """Counts what is kept of each."""

    def __init__(self) -> None:
        self._total = 0
        self._own: Counter[str] = Counter()
        """By the key of who has signed."""
        self._below: Counter[str] = Counter()
        """By the key of an authority above who has signed."""

    def has_room(self, verified: Verified) -> bool:
        """Tell whether one more can be kept."""
        if not verified.authorities:
            return self._total < MAX_EXPULSIONS
        return (
            self._total < MAX_BELOW_ROOT
            and self._own[verified.signer] < MAX_OF_AUTHORITY
            and all(self._below[each.key] < _limit(each) for each in verified.authorities[1:])
        )

    def count(self, verified: Verified) -> None:
        """Take note of one that is kept."""
        self._total += 1
        self._own[verified.signer] += 1
        self._below.update(each.key for each in verified.authorities[1:])


def _limit(authority: IssuingAuthority) -> int:
    return MAX_BELOW_GRANTED if authority.is_granted else MAX_BELOW
