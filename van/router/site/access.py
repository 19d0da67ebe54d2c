"""Which sites reach which addresses: decided once for each, and again when that may be otherwise.

A site always reaches what it exposes itself: its programs need no router for that.
"""

from typing import Final

from van.policy import NO_POLICY, Policy, Visitor
from van.router.site.trust import Trust
from van.tls.identity import SiteIdentity

MAX_KEPT: Final = 10_000
"""Decisions that are kept, to be made no second time; then all are made anew."""
_Question = tuple[str, tuple[str, ...], str, tuple[str, ...], bool]


class Access:
    """Answers whether a site may come; where nobody is kept out, it takes no time.

    `changed` is to be called when another policy is in force.
    """

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._policy = NO_POLICY
        self.is_silent = True
        """Whether the VAN as a whole keeps nobody out."""
        self._kept: dict[_Question, str] = {}
        self.changed()

    @property
    def policy(self) -> Policy:
        """Return what the VAN as a whole allows."""
        return self._policy

    def changed(self) -> None:
        """Decide by what the VAN allows now."""
        found = self._trust.policies.in_force(self._trust.expulsions)
        self._policy = NO_POLICY if found is None else found.policy
        self.is_silent = self._policy.is_silent
        self._kept.clear()

    def is_open_to_all(self, allow_from: tuple[str, ...]) -> bool:
        """Tell whether any member may reach what is exposed for these, without looking further."""
        return self.is_silent and not allow_from

    def why_not(
        self,
        source: SiteIdentity,
        address: str,
        allow_from: tuple[str, ...],
        *,
        is_limited: bool = True,
    ) -> str:
        """Say why a site may not reach an address; nothing if it may.

        `is_limited` tells whether nobody but who is in the list may, if there is one.
        """
        question = (source.site, source.grants.tags, address, allow_from, is_limited)
        found = self._kept.get(question)
        if found is None:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            found = self._kept[question] = self._decide(*question)
        return found

    def why_not_here(self, address: str, allow_from: tuple[str, ...], *, is_limited: bool) -> str:
        """Say why this site may not reach an address that another one exposes; as `why_not`."""
        if self.is_open_to_all(allow_from):
            return ""
        return self.why_not(self._trust.identity, address, allow_from, is_limited=is_limited)

    def _decide(
        self,
        site: str,
        tags: tuple[str, ...],
        address: str,
        allow_from: tuple[str, ...],
        is_limited: bool,  # noqa: FBT001  # a part of the question
    ) -> str:
        decision = self._policy.decide(
            Visitor(site, tags), address, allow_from, is_limited=is_limited
        )
        return "" if decision.is_allowed else decision.why
