"""A site that proved itself, and whether it is a member at any later time."""

from collections.abc import Callable
from datetime import datetime

import attrs

from van.tls.expulsion_list import ExpulsionList
from van.tls.identity import SiteIdentity


@attrs.frozen
class Member:
    """A site that proved itself, with its certificate's validity at any later time."""

    identity: SiteIdentity
    _clock: Callable[[], datetime]
    _expulsions: ExpulsionList

    @property
    def key_id(self) -> str:
        """Return the fingerprint of the site's key."""
        return self.identity.public_key_fingerprint

    @property
    def depth(self) -> int:
        """Return how many authorities are between the root and its certificate."""
        return self.identity.depth

    @property
    def first_issued(self) -> float:
        """Return when the first certificate of its key was issued, in seconds since 1970."""
        return self.identity.first_issued.timestamp()

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Tell whether the site signed a message."""
        return self.identity.verify(signature, message)

    def may_expose(self, address: str) -> bool:
        """Tell whether its certificate allows it to serve an address, `name:port`."""
        return self.identity.may_expose(address)

    def may_bind(self, address: str) -> bool:
        """Tell whether its certificate allows it to reach an address, `name:port`."""
        return self.identity.may_bind(address)

    def is_valid(self) -> bool:
        """Tell whether it is a member, and its certificate is valid now."""
        is_current = self.identity.not_before <= self._clock() <= self.identity.not_after
        return is_current and not self.is_expelled()

    def is_expelled(self) -> bool:
        """Tell whether it was put out, or rests on a root that another one has replaced."""
        return (
            self._expulsions.find(self.identity) is not None
            or self._expulsions.replacement(self.identity.roots) is not None
        )
